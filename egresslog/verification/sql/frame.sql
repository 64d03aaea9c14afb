SELECT
    host, verdict, code AS finding, finding_name, make_timestamp_ns(start_ns)::TIMESTAMPTZ_NS AS start_time, paired_by,
    source_ip, is_http AS http, sni_name, authority_name, cluster_name, ip, upstream_host, sidecar_origin, sidecar_line_number,
    sidecar_line, gateway_origin, gateway_line_number, gateway_line
FROM case_rows
WHERE host = coalesce(?, host)
ORDER BY start_ns, case_id;
