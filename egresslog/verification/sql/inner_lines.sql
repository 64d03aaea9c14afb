-- One round: candidates that agree in $key and in the millisecond (or $later after it), in order of duration and bytes.
INSERT INTO inner_lines
SELECT o.id, i.id
FROM (
    SELECT
        * REPLACE (ms + $later AS ms),
        row_number() OVER (PARTITION BY $key, ms ORDER BY duration, bytes_sent, id) AS place
    FROM outer_candidates
    WHERE id NOT IN (SELECT outer_id FROM inner_lines)
) o
JOIN (
    SELECT *, row_number() OVER (PARTITION BY $key, ms ORDER BY duration, bytes_sent, id) AS place
    FROM inner_candidates
    WHERE id NOT IN (SELECT inner_id FROM inner_lines)
) i USING ($key, ms, place);
