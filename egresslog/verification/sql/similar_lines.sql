-- A NAT or load balancer on the hop replaces the addresses: lines that are similar in $same are a hint, not a pair.
UPDATE cases SET finding = 'similar-lines'
WHERE case_id IN (
    SELECT s.case_id
    FROM (
        SELECT *, coalesce(sni_name, authority_name) AS name FROM cases
        WHERE finding IN (SELECT name FROM findings WHERE may_be_similar)
    ) s
    ASOF JOIN (
        SELECT *, coalesce(sni_name, authority_name) AS name FROM cases WHERE sidecar_id IS NULL
    ) g
    ON $same AND s.is_http = g.is_http AND s.start_ns + $SKEW >= g.start_ns
    WHERE g.start_ns >= s.start_ns - $SKEW
);
