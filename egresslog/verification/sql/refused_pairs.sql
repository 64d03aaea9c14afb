-- Connections that TLS between the hops ended: the sidecar then prints no address of its own. The client is the same,
-- the time is, and the SNI that the mesh made names the sidecar's cluster, where the gateway could read it (F17, F18).
INSERT INTO pairs
SELECT s.id, g.id, 'refused'
FROM (
    SELECT *, mesh_sni IS NULL AS without_sni FROM unpaired WHERE NOT is_sidecar AND unconnected
) g
ASOF JOIN (
    SELECT *, false AS without_sni FROM unpaired WHERE is_sidecar AND unconnected AND client_address IS NULL
    UNION ALL
    SELECT * REPLACE (NULL AS mesh_sni), true
    FROM unpaired WHERE is_sidecar AND unconnected AND client_address IS NULL AND is_http
) s
ON g.client_ip = s.client_ip AND g.server_address = s.server_address AND g.without_sni = s.without_sni
    AND coalesce(g.mesh_sni, '') = coalesce(s.mesh_sni, '') AND g.start_ns + $LIKELY_SKEW >= s.start_ns
WHERE g.start_ns <= s.end_ns + $LIKELY_SKEW;
