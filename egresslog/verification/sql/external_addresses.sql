-- Addresses in the lines that are taken for external ones.
SELECT upstream_ip FROM sidecar_lines WHERE upstream_is_external
UNION SELECT downstream_local_ip FROM sidecar_lines WHERE downstream_local_is_external
UNION SELECT source_ip FROM sidecar_lines WHERE source_is_external
UNION SELECT upstream_ip FROM gateway_lines WHERE upstream_is_external
UNION SELECT downstream_local_ip FROM gateway_lines WHERE downstream_local_is_external
UNION SELECT source_ip FROM gateway_lines WHERE source_is_external;
