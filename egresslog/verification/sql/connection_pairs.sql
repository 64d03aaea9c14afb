-- One hop logs the requests and the other the connection they came by, where only one of them reads HTTP.
INSERT INTO pairs
SELECT
    CASE WHEN r.is_sidecar THEN r.id ELSE c.id END,
    CASE WHEN r.is_sidecar THEN c.id ELSE r.id END,
    'connection'
FROM (SELECT * FROM unpaired WHERE is_sidecar = $requests_at_sidecar AND is_http) r
ASOF JOIN (SELECT * FROM unpaired WHERE is_sidecar <> $requests_at_sidecar AND NOT is_http) c
ON r.client_address = c.client_address AND r.server_address = c.server_address AND r.start_ns + $SKEW >= c.start_ns
WHERE r.start_ns <= c.end_ns + $SKEW;
