-- Who sent what the question is about, and whether the log of its sidecar shows it. A gateway's line that no sidecar's
-- line matches was sent by a pod whose sidecar log was not read, or not over that time; a second copy of a line is none.
CREATE TABLE senders AS
SELECT
    coalesce(pod_of(source_ip, start_ns), source_ip, '(unknown)') AS sender,
    bool_or(sidecar_id IS NOT NULL) AS has_sidecar_lines,
    count(*) FILTER (
        sidecar_id IS NULL
        AND (SELECT line FROM gateway_lines g WHERE g.rowid = gateway_id) NOT IN (
            SELECT g.line FROM cases p JOIN gateway_lines g ON g.rowid = p.gateway_id WHERE p.sidecar_id IS NOT NULL
        )
    ) AS unmatched
FROM cases
GROUP BY sender;
