-- What is left at the gateway and is a retry: the same pod and request, within the time of the sidecar's record.
INSERT INTO pairs
SELECT s.id, g.id, 'attempt'
FROM (SELECT * FROM unpaired WHERE NOT is_sidecar AND is_http AND method IS NOT NULL) g
ASOF JOIN (SELECT * FROM hop_ends WHERE is_sidecar AND is_http) s
ON g.client_ip = s.client_ip AND g.method = s.method AND g.path = s.path AND g.authority = s.authority
    AND g.start_ns + $LIKELY_SKEW >= s.start_ns
WHERE g.end_ns <= s.end_ns + $LIKELY_SKEW;
