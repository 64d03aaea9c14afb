-- Records that may have a pair: the sidecars' that had a connection to the gateway, and the gateway's own. Both under
-- the same names: client_address is the sidecar's end of the hop's connection, server_address the gateway's.
CREATE TABLE hop_ends AS
SELECT
    true AS is_sidecar, id, upstream_local_address AS client_address, upstream_host AS server_address,
    coalesce(upstream_local_ip, source_ip) AS client_ip, is_http, method, path, authority, response_code, bytes_sent,
    start_ns, end_ns, unconnected,
    'outbound_.' || cluster_port || '_.' || coalesce(cluster_subset, '') || '_.' || cluster_host AS mesh_sni
FROM sidecar_cases
WHERE to_gateway AND NOT ambiguous
UNION ALL
SELECT
    false, id, downstream_remote_address, downstream_local_address,
    source_ip, is_http, method, path, authority, response_code, bytes_sent,
    start_ns, end_ns, has_flag(response_flags, ['NR', 'DPE']) AND upstream_host IS NULL,
    -- Some releases of Envoy print invalid: before it, for its underscores (docs/access-log-formats.md, 7.3).
    nullif(regexp_extract(requested_server_name, '^(?:invalid:)?(outbound_[.].*)', 1), '')
FROM gateway_cases
WHERE NOT ambiguous AND finding <> 'sidecar-lines-in-gateway-log'
    AND coalesce(downstream_local_address, '') NOT LIKE 'envoy://%';

CREATE VIEW unpaired AS
SELECT * FROM hop_ends WHERE is_sidecar AND id NOT IN (SELECT sidecar_id FROM pairs)
UNION ALL
SELECT * FROM hop_ends WHERE NOT is_sidecar AND id NOT IN (SELECT gateway_id FROM pairs);
