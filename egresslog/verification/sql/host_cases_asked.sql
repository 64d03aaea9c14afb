-- Each case of each asked host. The strength of a match: 1 the cluster's name or the address; 2 what the hop's protocol
-- routes by (HTTP: authority, else the gateway's SNI); 3 any other name; an ambiguous line counts if the name is in it.
CREATE TABLE host_cases AS
SELECT host, case_id, CASE
    WHEN finding NOT IN (SELECT name FROM findings WHERE proves) OR strength = 1 THEN finding
    WHEN strength = 2 AND serves = 'any' THEN finding
    WHEN strength = 2 AND NOT is_http THEN 'proof-by-sni'
    WHEN strength = 3 AND serves = 'any' AND (NOT is_http OR authority_name IS NULL) THEN finding
    ELSE 'other-hosts-cluster'
END AS finding
FROM (
    SELECT host, case_id, min(strength) AS strength
    FROM (
        SELECT host, case_id, 1 AS strength FROM cases JOIN asked_names ON value = cluster_name
        UNION ALL SELECT host, case_id, 2 FROM cases JOIN asked_names ON value = authority_name WHERE is_http
        UNION ALL SELECT host, case_id, 2 FROM cases JOIN asked_names ON value = gateway_sni WHERE NOT is_http
        UNION ALL SELECT host, case_id, 3 FROM cases JOIN asked_names ON value = sni_name
        UNION ALL SELECT host, case_id, 3 FROM cases JOIN asked_names ON value = authority_name
        UNION ALL SELECT host, case_id, 1 FROM cases JOIN asked_ips ON value = ip
        UNION ALL
        SELECT host, case_id, 1 FROM cases JOIN wildcard_clusters ON value = cluster_name
        WHERE sni_name IS NULL AND authority_name IS NULL
        UNION ALL SELECT host, case_id, 1 FROM cases CROSS JOIN asked_hosts WHERE host = '*' AND is_outside
        UNION ALL
        SELECT host, case_id, 3
        FROM cases
        JOIN sidecar_lines s ON s.rowid = sidecar_id
        JOIN asked_terms ON contains(lower(s.line), value)
        WHERE s.ambiguous
        UNION ALL
        SELECT host, case_id, 3
        FROM cases
        JOIN gateway_lines g ON g.rowid = gateway_id
        JOIN asked_terms ON contains(lower(g.line), value)
        WHERE g.ambiguous
    )
    GROUP BY host, case_id
)
JOIN cases USING (case_id);
