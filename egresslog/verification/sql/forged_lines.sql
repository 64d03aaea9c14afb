-- A newline in an SNI, which clients write and old Envoys print as it is, ends a line and begins another, forged one. What
-- is left of the real line cannot be parsed: before it a line that was cut, behind it the rest, unless the forgery used
-- either up. An SNI has 255 bytes at most (BoringSSL: TLSEXT_MAXLEN_host_name), and some are Envoy's. Such a line of a
-- gateway proves no more than an ambiguous one.
CREATE TEMP TABLE cuts AS
SELECT origin, line_number, NOT regexp_matches(line, '\[[0-9]{4}-[0-9]{2}-[0-9]{2}T|\{') AS is_rest
FROM rejected_lines
WHERE hop = 'gateway';

UPDATE gateway_lines SET ambiguous = true
WHERE rowid IN (
    SELECT id
    FROM (
        SELECT
            g.rowid AS id, g.line_number, head.line_number AS head_number, head.is_rest AS head_is_rest,
            rest.line_number AS rest_number, rest.is_rest,
            -- Without what a transport put before the line.
            length(coalesce(nullif(regexp_extract(g.line, '\[[0-9]{4}-[0-9]{2}-[0-9]{2}T.*'), ''), g.line)) AS size,
            sum(size) OVER (PARTITION BY g.origin, head_number, rest_number) AS size_of_all
        FROM gateway_lines g
        ASOF LEFT JOIN cuts head ON g.origin = head.origin AND g.line_number > head.line_number
        ASOF LEFT JOIN cuts rest ON g.origin = rest.origin AND g.line_number < rest.line_number
        WHERE g.line_number - head.line_number <= 3 OR rest.line_number - g.line_number <= 3
    )
    WHERE rest_number - head_number = 2
        OR (rest_number - head_number <= 4 AND size_of_all <= $FORGED)
        OR (line_number = head_number + 1 AND NOT head_is_rest AND size <= $FORGED)
        OR (line_number = rest_number - 1 AND is_rest AND size <= $FORGED)
);
DROP TABLE cuts;
