-- For connections without a name: hosts that the same pod called by name at the same address. Only what looks like a host
-- name may stand in a message.
SELECT DISTINCT n.case_id, c.own_host
FROM cases n
JOIN cases c ON c.source_ip = n.source_ip AND (c.ip = n.ip OR c.requested_ip = n.ip)
WHERE n.case_id IN (SELECT unnest(?::BIGINT[])) AND n.finding = 'passthrough-nameless'
    AND regexp_full_match(c.own_host, '[a-z0-9_-]+([.][a-z0-9_-]+)+') AND NOT is_cluster_name(c.own_host)
ORDER BY c.own_host;
