-- Every TLS connection of a host too short for a handshake: proven, and worth a warning.
INSERT INTO host_cases
SELECT host, min(case_id), 'short-tls-connections'
FROM host_cases h JOIN cases USING (case_id)
WHERE h.finding IN (SELECT name FROM findings WHERE proves)
GROUP BY host
HAVING bool_and(NOT is_http AND sni_name IS NOT NULL AND bytes_sent < $HANDSHAKE);

-- Per host the verdict, the gravest that matters, and how many cases have which.
CREATE TABLE verdicts AS
SELECT host, CASE $gravest ELSE 'NO_EVIDENCE' END AS verdict, counted.* EXCLUDE (host)
FROM (
    SELECT host, $counts
    FROM host_cases h JOIN findings ON findings.name = h.finding
    GROUP BY host
) counted
FULL JOIN asked_hosts USING (host);

-- Per host and finding how many cases, and the first of them.
CREATE TABLE host_findings AS
SELECT
    host, h.finding, count(*) AS cases,
    min_by(
        case_id, coalesce(start_ns, 0) * 1000000000000::HUGEINT + coalesce(sidecar_id, gateway_id), $EVIDENCE
    ) AS case_ids
FROM host_cases h JOIN cases USING (case_id)
GROUP BY host, h.finding;
