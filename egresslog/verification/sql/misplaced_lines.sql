-- Lines that belong into the other hop's log: how many, and one of them.
CREATE TABLE misplaced_lines AS
SELECT finding, count(*) AS lines, min(id) AS id
FROM (SELECT finding, id FROM sidecar_cases UNION ALL SELECT finding, id FROM gateway_cases)
WHERE finding IN (SELECT name FROM findings WHERE misplaced)
GROUP BY finding;
