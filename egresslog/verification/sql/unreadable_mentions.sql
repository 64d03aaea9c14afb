-- Lines that could not be read and may be about a host: rejected lines, and ambiguous sidecar lines, whose agreed
-- upstream may be a decoy. They mention the host, an address it was reached at, or the cluster for unknown traffic.
CREATE TEMP TABLE known_cases AS
-- Ambiguous lines that are cases: of these hosts they are listed already.
SELECT DISTINCT h.host, s.rowid AS sidecar_id
FROM host_cases h JOIN cases c USING (case_id) JOIN sidecar_lines s ON s.rowid = c.sidecar_id
WHERE s.ambiguous;

CREATE TEMP TABLE unreadable AS
SELECT
    row_number() OVER () AS id,
    *,
    contains(line, 'PassthroughCluster') AND EXISTS (FROM asked_hosts)
        AND coalesce(sidecar_id NOT IN (SELECT sidecar_id FROM known_cases), true) AS of_every_host
FROM (
    SELECT NULL::BIGINT AS sidecar_id, hop, origin, line_number, line FROM rejected_lines
    UNION ALL
    SELECT rowid, 'sidecar', origin, line_number, line FROM sidecar_lines WHERE ambiguous
);

CREATE TABLE unreadable_mentions AS
WITH words AS (
    -- Without the line itself: it may be as long as its words are many.
    SELECT
        id,
        unnest(
            list_distinct(
                regexp_extract_all(lower(line), '[a-z0-9_-]+(?:[.][a-z0-9_-]+)+|[0-9a-f]*:[0-9a-f:]*:[0-9a-f:]*')
            )
        ) AS word
    FROM unreadable
    WHERE NOT of_every_host
),
mentions AS (
    SELECT v.host, w.id FROM words w JOIN verdicts v ON v.host = w.word
    UNION
    SELECT a.host, w.id FROM words w JOIN any_addresses a ON a.ip = w.word
    UNION
    SELECT a.host, u.id
    FROM unreadable u JOIN asked_terms a ON contains(lower(u.line), a.value)
    WHERE NOT u.of_every_host
)
SELECT DISTINCT m.host, u.hop, u.origin, u.line_number, u.line
FROM mentions m JOIN unreadable u USING (id)
WHERE NOT EXISTS (FROM known_cases k WHERE k.host = m.host AND k.sidecar_id = u.sidecar_id)
UNION ALL
-- Not a row for each host: many lines and many hosts would be too many.
SELECT NULL, hop, origin, line_number, line FROM unreadable WHERE of_every_host;

DROP TABLE unreadable;
DROP TABLE known_cases;
