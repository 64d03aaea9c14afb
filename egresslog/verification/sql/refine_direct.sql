-- Why a declared host went straight outside, as far as the host's other cases show it (F5, F6, F28 to F30).
UPDATE host_cases SET finding = refined.finding
FROM (
    SELECT host, case_id, CASE
        WHEN pod_direct_until < pod_through_from THEN 'direct-at-first'
        WHEN pod_through_from IS NOT NULL THEN 'direct-sometimes'
        WHEN port_through THEN 'direct-this-pod'
        WHEN other_port_through THEN 'direct-other-port'
        ELSE finding
    END AS finding
    FROM (
        SELECT
            host, case_id, finding,
            bool_or(through) OVER (PARTITION BY host, port) AS port_through,
            bool_or(through AND port IS NOT NULL) OVER (PARTITION BY host) AS other_port_through,
            min(start_ns) FILTER (through) OVER pod AS pod_through_from,
            max(start_ns) FILTER (direct) OVER pod AS pod_direct_until
        FROM (
            SELECT
                h.*, c.start_ns, c.port, c.source_ip,
                c.to_gateway AND c.sidecar_id IS NOT NULL AS through,
                h.finding = 'direct-serviceentry' AS direct
            FROM host_cases h JOIN cases c USING (case_id)
            WHERE h.host IN (SELECT host FROM host_cases WHERE finding = 'direct-serviceentry')
        )
        WINDOW pod AS (PARTITION BY host, source_ip, port)
    )
) refined
WHERE host_cases.finding = 'direct-serviceentry'
    AND host_cases.host = refined.host AND host_cases.case_id = refined.case_id;
