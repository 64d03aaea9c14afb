-- Lines that could not be read and may be about a host: rejected lines, and ambiguous sidecar lines, whose agreed
-- upstream may be a decoy. They mention the host, an address it was reached at, or the cluster for unknown traffic.
CREATE TABLE unreadable_mentions AS
WITH unreadable AS (
    SELECT hop, origin, line_number, line FROM rejected_lines
    UNION ALL
    SELECT 'sidecar', origin, line_number, line FROM sidecar_lines WHERE ambiguous
),
terms AS (
    SELECT
        * EXCLUDE (words),
        unnest(words) AS term
    FROM (
        SELECT
            *,
            list_distinct(
                regexp_extract_all(lower(line), '[a-z0-9_-]+(?:[.][a-z0-9_-]+)+|[0-9a-f]*:[0-9a-f:]*:[0-9a-f:]*')
            ) AS words
        FROM unreadable
    )
)
SELECT DISTINCT host, hop, origin, line_number, line
FROM (
    SELECT v.host, t.* EXCLUDE (term) FROM terms t JOIN verdicts v ON v.host = t.term
    UNION ALL
    SELECT a.host, t.* EXCLUDE (term) FROM terms t JOIN any_addresses a ON a.ip = t.term
    UNION ALL
    SELECT a.host, u.* FROM unreadable u JOIN asked_terms a ON contains(lower(u.line), a.value)
    UNION ALL
    SELECT a.host, u.* FROM unreadable u CROSS JOIN asked_hosts a WHERE contains(u.line, 'PassthroughCluster')
)
-- Not what a case of the host already tells.
WHERE (host, hop, line_number, origin) NOT IN (
    SELECT h.host, 'sidecar', s.line_number, s.origin
    FROM host_cases h JOIN cases c USING (case_id) JOIN sidecar_lines s ON s.rowid = c.sidecar_id
    WHERE s.ambiguous
);
