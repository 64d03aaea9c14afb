-- Addresses at which a host was reached, and those that clients of its proven traffic had asked for. Without a question
-- an address that many hosts share says nothing about one of them.
CREATE TABLE host_addresses AS
FROM (
    SELECT DISTINCT host, ip FROM host_cases h JOIN cases USING (case_id)
    WHERE h.finding IN (SELECT name FROM findings WHERE shows_address) AND ip IS NOT NULL
)
QUALIFY $asked OR count(*) OVER (PARTITION BY ip) <= $HOSTS_PER_ADDRESS;

CREATE TABLE requested_addresses AS
FROM (
    SELECT DISTINCT host, requested_ip AS ip FROM host_cases h JOIN cases USING (case_id)
    WHERE h.finding IN (SELECT name FROM findings WHERE proves) AND requested_ip IS NOT NULL
)
QUALIFY $asked OR count(*) OVER (PARTITION BY ip) <= $HOSTS_PER_ADDRESS;

CREATE VIEW any_addresses AS FROM host_addresses UNION FROM requested_addresses;

-- What bypassed the gateway for such an address (row 6). A connection with a name of its own is a matter of that host,
-- unless somebody asks about this one.
INSERT INTO host_cases
SELECT DISTINCT a.host, c.case_id, 'passthrough-same-address'
FROM cases c JOIN any_addresses a USING (ip)
WHERE c.finding IN (SELECT name FROM findings WHERE undeclared) AND ($asked OR own_host IS NULL)
    AND NOT EXISTS (FROM host_cases h WHERE h.host = a.host AND h.case_id = c.case_id);

-- Opaque TCP to the gateway: only the gateway's line would have named the host.
INSERT INTO host_cases
SELECT DISTINCT a.host, c.case_id, c.finding
FROM cases c JOIN any_addresses a ON a.ip = c.requested_ip
WHERE c.to_gateway AND own_host IS NULL
    AND NOT EXISTS (FROM host_cases h WHERE h.host = a.host AND h.case_id = c.case_id);

UPDATE cases SET finding = 'passthrough-nameless'
WHERE finding = 'passthrough' AND sni_name IS NULL AND authority_name IS NULL
    AND case_id NOT IN (SELECT case_id FROM host_cases);

-- Asked about one host: another declared host that goes straight to its address.
INSERT INTO host_cases
SELECT a.host, c.case_id, 'alias-direct'
FROM cases c JOIN host_addresses a USING (ip)
WHERE $asked AND c.finding IN (SELECT name FROM findings WHERE declared_direct)
    AND NOT EXISTS (FROM host_cases h WHERE h.host = a.host AND h.case_id = c.case_id);

-- Without a question nothing that bypassed the gateway is without a host: the address stands for it.
INSERT INTO host_cases
SELECT ip, case_id, finding FROM cases
WHERE NOT $asked AND finding IN (SELECT name FROM findings WHERE nameless) AND is_outside AND ip IS NOT NULL
    AND case_id NOT IN (SELECT case_id FROM host_cases);

-- A gateway that lets traffic in as well: whoever reaches it may write a proven host's name into Host, and gets to a
-- Service of the cluster. No sidecar sent it to the gateway for that host.
UPDATE host_cases SET finding = 'other-hosts-cluster'
FROM cases c
WHERE host_cases.case_id = c.case_id AND host_cases.finding = 'gateway-to-cluster'
    AND c.sidecar_id IS NULL AND is_service(c.cluster_name) AND host_cases.host <> c.cluster_name
    AND EXISTS (
        FROM host_cases h
        JOIN cases p USING (case_id)
        WHERE h.host = host_cases.host AND h.finding IN (SELECT name FROM findings WHERE proves)
            AND p.own_host = coalesce(c.authority_name, c.sni_name)
    );

-- Without a question what went past the gateway to a private address is an answer of its own, beside a host's proofs:
-- the address stands for it.
INSERT INTO host_cases
SELECT DISTINCT c.ip, c.case_id, c.finding
FROM cases c
JOIN host_cases h USING (case_id)
WHERE NOT $asked AND c.finding = 'address-inside' AND c.ip IS NOT NULL
    AND h.host IN (SELECT host FROM host_cases WHERE finding IN (SELECT name FROM findings WHERE proves))
    AND h.host <> c.ip;
