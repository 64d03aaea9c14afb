SELECT
    source_ip,
    CASE WHEN gateway_id IS NOT NULL THEN gateway_local_ip WHEN to_gateway THEN sidecar_upstream_ip END AS gateway,
    pod_of(source_ip, start_ns) AS source_pod,
    pod_of(gateway, start_ns) AS gateway_pod,
    CASE WHEN gateway_id IS NOT NULL OR NOT to_gateway THEN upstream_host END AS upstream_host,
    verdict,
    count(*) AS requests
FROM case_rows
WHERE host = ?
GROUP BY ALL
ORDER BY requests DESC, source_ip, gateway, upstream_host, verdict;
