-- Cases that belong to no host: without any name, and without a question what may be the gateway's or the cluster's own.
SELECT finding, count(*) AS cases, list(case_id ORDER BY start_ns, case_id)[:$EVIDENCE] AS case_ids
FROM cases JOIN findings ON findings.name = cases.finding
WHERE case_id NOT IN (SELECT case_id FROM host_cases)
    AND (
        finding = 'passthrough-nameless'
        OR NOT $asked AND finding IN ('gateway-to-cluster', 'unknown-service')
        OR coalesce(cluster_name, sni_name, authority_name) IS NULL
    )
GROUP BY finding
ORDER BY min(findings.code);
