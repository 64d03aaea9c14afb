-- Host and case, with the lines of both hops; findings about the evidence itself are none. A view for what follows.
CREATE VIEW case_rows AS
SELECT
    h.host, k.verdict, k.code, k.name AS finding_name, c.*, s.origin AS sidecar_origin,
    s.line_number AS sidecar_line_number, s.line AS sidecar_line, g.origin AS gateway_origin,
    g.line_number AS gateway_line_number, g.line AS gateway_line,
    s.upstream_ip AS sidecar_upstream_ip,
    coalesce(o.downstream_local_ip, g.downstream_local_ip) AS gateway_local_ip
FROM host_cases h
JOIN cases c USING (case_id)
JOIN findings k ON k.name = h.finding
LEFT JOIN sidecar_lines s ON s.rowid = c.sidecar_id
LEFT JOIN gateway_lines g ON g.rowid = c.gateway_id
LEFT JOIN gateway_lines o ON o.rowid = c.outer_gateway_id
WHERE k.verdict IS NOT NULL;
