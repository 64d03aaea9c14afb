-- What the lines of both hops show of the gateway: its addresses, and its Services.
INSERT INTO gateways
SELECT DISTINCT ip
FROM (
    SELECT upstream_local_ip AS ip FROM gateway WHERE NOT misplaced AND NOT ambiguous
    UNION
    SELECT downstream_local_ip FROM gateway
    WHERE NOT misplaced AND NOT ambiguous AND NOT coalesce(downstream_local_is_external, true)
        AND downstream_local_ip NOT LIKE '240.%'
)
WHERE ip IS NOT NULL;

INSERT INTO services
SELECT DISTINCT cluster_host
FROM sidecar
WHERE cluster_kind = 'outbound' AND NOT ambiguous AND NOT misplaced AND is_service(cluster_host)
    AND (
        upstream_ip IN (SELECT ip FROM gateways)
        OR EXISTS (FROM given_services g WHERE names_service(g.name, cluster_host))
    );
