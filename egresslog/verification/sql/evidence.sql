-- The lines of cases, in the order of the hops.
SELECT
    c.case_id, s.origin, s.line_number, s.line, o.origin, o.line_number, o.line, g.origin, g.line_number, g.line
FROM cases c
LEFT JOIN sidecar_lines s ON s.rowid = c.sidecar_id
LEFT JOIN gateway_lines o ON o.rowid = c.outer_gateway_id
LEFT JOIN gateway_lines g ON g.rowid = c.gateway_id
WHERE c.case_id IN (SELECT unnest(?::BIGINT[]));
