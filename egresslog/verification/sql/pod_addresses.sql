-- Addresses of proxies, by their own lines: a sidecar's end of its upstream connections; a gateway's that it both listens
-- on and sends from, or to which a sidecar's line shows the very connection. Inbound connections may have the client's.
SELECT DISTINCT ip
FROM (
    SELECT upstream_local_ip AS ip FROM sidecar_lines
    WHERE NOT ambiguous AND coalesce(cluster_kind, '') NOT IN ('inbound', 'inbound-passthrough')
    UNION ALL
    SELECT upstream_local_ip FROM gateway_lines WHERE NOT ambiguous AND upstream_local_ip = downstream_local_ip
    UNION ALL
    SELECT g.downstream_local_ip
    FROM gateway_lines g
    JOIN sidecar_lines s
    ON s.upstream_host = g.downstream_local_address AND s.upstream_local_address = g.downstream_remote_address
    WHERE NOT g.ambiguous AND NOT s.ambiguous
)
WHERE ip IS NOT NULL;
