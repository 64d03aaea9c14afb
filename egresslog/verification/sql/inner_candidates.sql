-- The two lines that a gateway writes for one connection through its SNI dynamic forward proxy: candidates for both.
CREATE TEMP TABLE outer_candidates AS
SELECT
    o.id, o.origin, o.upstream_host AS listener, o.start_ns // $MILLISECOND AS ms, o.duration, o.bytes_sent,
    any_value(s.sni_host) AS sni
FROM gateway_cases o
LEFT JOIN pairs ON pairs.gateway_id = o.id
LEFT JOIN sidecar_cases s ON s.id = pairs.sidecar_id
WHERE o.finding = 'transit'
GROUP BY ALL;

CREATE TEMP TABLE inner_candidates AS
SELECT
    id, origin, downstream_local_address AS listener, start_ns // $MILLISECOND AS ms, duration, bytes_sent,
    sni_host AS sni
FROM gateway_cases
WHERE starts_with(downstream_local_address, 'envoy://');
