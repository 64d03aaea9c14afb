-- Without a question each case is about its own host; services of the cluster are no outside hosts.
CREATE TABLE host_cases AS
SELECT host, case_id, CASE
    WHEN finding NOT IN (SELECT name FROM findings WHERE proves) OR serves = 'any' OR host = cluster_name THEN finding
    WHEN NOT is_http AND host = gateway_sni THEN 'proof-by-sni'
    ELSE 'other-hosts-cluster'
END AS finding
FROM (SELECT *, own_host AS host FROM cases)
WHERE host IS NOT NULL
    -- By its address or a name of the cluster's, a client reaches other pods, as Prometheus does.
    AND NOT (finding = 'address-inside' AND (host = ip OR is_cluster_name(host)))
    AND (
        finding <> 'unknown-service'
        OR (SELECT count(*) FROM gateways) + (SELECT count(*) FROM services) = 0
    )
    AND (is_outside OR NOT is_cluster_name(host))
    -- A gateway that lets traffic in as well: it sends to a service of the cluster, and no sidecar's line is behind it.
    AND NOT (finding = 'gateway-to-cluster' AND sidecar_id IS NULL AND coalesce(is_service(cluster_name), false));
