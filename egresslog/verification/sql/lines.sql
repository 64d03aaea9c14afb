-- The matter of each line of one hop: its finding, before anything is known of the other hop.
CREATE TABLE ${hop}_cases AS
SELECT
    * EXCLUDE (
        line, response_code_details, upstream_transport_failure_reason, connection_termination_details, bytes_received,
        route_name, answered, misplaced, first_finding
    ),
    -- An ambiguous record can only accuse, and does not get lost as somebody else's.
    CASE
        WHEN ambiguous AND first_finding NOT IN (SELECT name FROM findings WHERE accuses) THEN 'ambiguous-line'
        ELSE first_finding
    END AS finding
FROM (SELECT *, CASE WHEN ambiguous THEN ${ambiguous} ELSE ${rules} END AS first_finding FROM ${hop})
WHERE ambiguous OR first_finding <> 'inside';
