-- What is left and $condition, by $key: at once where the key is unique on both sides.
CREATE OR REPLACE TEMP TABLE open_ends AS
SELECT * FROM unpaired
WHERE $condition AND client_address IS NOT NULL AND server_address IS NOT NULL AND start_ns IS NOT NULL;

CREATE OR REPLACE TEMP TABLE keys AS
SELECT
    $key,
    row_number() OVER () AS number,
    count(*) FILTER (is_sidecar) AS sidecar_rows,
    count(*) AS total,
    min(id) FILTER (is_sidecar) AS sidecar_id,
    min(id) FILTER (NOT is_sidecar) AS gateway_id,
    min(start_ns) FILTER (is_sidecar) AS sidecar_start,
    max(end_ns) FILTER (is_sidecar) AS sidecar_end,
    min(start_ns) FILTER (NOT is_sidecar) AS gateway_start
FROM open_ends
GROUP BY $key
HAVING sidecar_rows BETWEEN 1 AND total - 1;

INSERT INTO pairs
SELECT sidecar_id, gateway_id, 'tuple' FROM keys
WHERE total = 2 AND gateway_start BETWEEN sidecar_start - $SKEW AND sidecar_end + $SKEW;
