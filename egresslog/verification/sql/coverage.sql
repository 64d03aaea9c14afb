-- From when to when the log of each address of a gateway was read, as far as its lines and the cluster show.
CREATE TABLE line_coverage AS
SELECT downstream_local_ip AS ip, min(end_ns) AS first_ns, max(end_ns) AS last_ns
FROM gateway_cases
WHERE finding <> 'sidecar-lines-in-gateway-log' AND downstream_local_ip IS NOT NULL
GROUP BY downstream_local_ip;

CREATE TABLE replicas AS
SELECT * FROM read_coverage
UNION ALL SELECT * FROM line_coverage WHERE ip NOT IN (SELECT ip FROM read_coverage);
