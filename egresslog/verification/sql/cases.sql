-- One row per request or connection: the sidecar's line, the gateway's, and what they say together.
CREATE TABLE cases AS
WITH best_pairs AS (
    -- Requests that share a connection are a case each. Retries are one: what is grave, else a proof, counts.
    SELECT sidecar_id, paired_by, gateway_id FROM pairs WHERE paired_by = 'connection'
    UNION ALL
    SELECT
        p.sidecar_id,
        min(p.paired_by),
        arg_max(p.gateway_id, 10000000000000000000::HUGEINT * (
            4 * coalesce(kind.verdict = 'MISROUTED', false)::INT + 2 * coalesce(kind.proves, false)::INT
            + (p.paired_by = 'tuple')::INT
        ) + g.start_ns)
    FROM pairs p
    JOIN gateway_cases g ON g.id = p.gateway_id
    LEFT JOIN findings kind ON kind.name = g.finding
    WHERE p.paired_by <> 'connection'
    GROUP BY p.sidecar_id
),
sent AS (
    SELECT
        s.*,
        kind.stands,
        kind.awaits,
        s.upstream_ip IN (SELECT ip FROM replicas) AS replica_was_read,
        best_pairs.paired_by,
        best_pairs.gateway_id AS paired_id,
        inner_lines.inner_id,
        (SELECT count(*) FROM gateway_lines) = 0 AS gateway_was_not_read,
        (SELECT count(*) FROM line_coverage) = 0 AS gateway_logs_no_addresses,
        EXISTS (
            FROM replicas r
            WHERE r.ip = s.upstream_ip AND s.end_ns >= r.first_ns AND s.end_ns + $GRACE <= r.last_ns
        ) AND NOT EXISTS (
            FROM gaps g
            WHERE g.ip = s.upstream_ip AND g.first_ns <= s.end_ns + $GRACE AND g.last_ns >= s.start_ns
        ) AS time_was_read
    FROM sidecar_cases s
    LEFT JOIN findings kind ON kind.name = s.finding
    LEFT JOIN best_pairs ON best_pairs.sidecar_id = s.id
    LEFT JOIN inner_lines ON inner_lines.outer_id = best_pairs.gateway_id
    WHERE s.finding <> 'gateway-lines-in-sidecar-log'
),
both_hops AS (
    SELECT
        s.id AS sidecar_id,
        coalesce(s.inner_id, s.paired_id) AS gateway_id,
        CASE WHEN s.inner_id IS NOT NULL THEN s.paired_id END AS outer_gateway_id,
        s.paired_by,
        CASE
            WHEN s.finding = 'hop-mtls-to-plaintext' AND g.finding = 'gateway-no-filter-chain-mesh-sni' THEN g.finding
            WHEN s.stands THEN s.finding
            WHEN s.paired_id IS NOT NULL AND s.inner_id IS NULL AND g.finding = 'transit' THEN transit_alone(g.downstream_local_address)
            WHEN s.paired_id IS NOT NULL THEN g.finding
            WHEN NOT coalesce(s.awaits, false) THEN s.finding
            WHEN s.gateway_was_not_read THEN 'no-gateway-log'
            WHEN s.finding = 'format-lacks-fields' THEN s.finding
            WHEN s.gateway_logs_no_addresses THEN 'format-lacks-fields'
            WHEN NOT s.replica_was_read THEN 'gateway-replica-not-read'
            WHEN NOT s.time_was_read THEN 'outside-gateway-coverage'
            ELSE s.finding
        END AS finding,
        s.is_http,
        s.start_ns,
        coalesce(s.upstream_local_ip, s.source_ip) AS source_ip,
        try_cast(split_part(s.downstream_local_address, ':', -1) AS INTEGER) AS port,
        CASE
            WHEN g.upstream_is_external THEN g.upstream_ip
            WHEN s.upstream_is_external THEN s.upstream_ip
            ELSE s.downstream_local_ip
        END AS ip,
        coalesce(g.upstream_host, s.upstream_host) AS upstream_host,
        CASE
            WHEN g.id IS NOT NULL AND g.cluster_kind IN ('outbound', 'inbound-vip') THEN g.cluster_host
            WHEN NOT s.to_gateway THEN s.cluster_host
        END AS cluster_name,
        coalesce(s.sni_host, g.sni_host) AS sni_name,
        coalesce(s.authority_host, g.authority_host) AS authority_name,
        coalesce(g.bytes_sent, s.bytes_sent) AS bytes_sent,
        s.to_gateway,
        s.downstream_local_ip AS requested_ip,
        coalesce(g.upstream_is_external, s.upstream_is_external, s.downstream_local_is_external) AS is_outside,
        s.masked_request_id,
        CASE
            WHEN g.id IS NOT NULL THEN cluster_serves(g.cluster_kind, g.cluster_host, g.upstream_cluster)
            WHEN s.to_gateway THEN 'any'
            ELSE cluster_serves(s.cluster_kind, s.cluster_host, s.upstream_cluster)
        END AS serves,
        g.sni_host AS gateway_sni
    FROM sent s
    LEFT JOIN gateway_cases g ON g.id = coalesce(s.inner_id, s.paired_id)
    UNION ALL
    -- What only the gateway's log has.
    SELECT
        NULL,
        g.id,
        inner_lines.outer_id,
        NULL,
        CASE g.finding
            WHEN 'paired-proof' THEN 'gateway-only-proof'
            WHEN 'transit' THEN transit_alone(g.downstream_local_address)
            ELSE g.finding
        END,
        g.is_http,
        g.start_ns,
        coalesce(outer_line.source_ip, g.source_ip, g.forwarded_ip),
        NULL,
        g.upstream_ip,
        g.upstream_host,
        CASE WHEN g.cluster_kind IN ('outbound', 'inbound-vip') THEN g.cluster_host END,
        g.sni_host,
        g.authority_host,
        g.bytes_sent,
        true,
        NULL,
        g.upstream_is_external,
        g.masked_request_id,
        cluster_serves(g.cluster_kind, g.cluster_host, g.upstream_cluster),
        g.sni_host
    FROM gateway_cases g
    LEFT JOIN inner_lines ON inner_lines.inner_id = g.id
    LEFT JOIN gateway_cases outer_line ON outer_line.id = inner_lines.outer_id
    WHERE g.finding <> 'sidecar-lines-in-gateway-log'
        AND g.id NOT IN (SELECT gateway_id FROM pairs)
        AND g.id NOT IN (SELECT outer_id FROM inner_lines)
        AND coalesce(inner_lines.outer_id, -1) NOT IN (SELECT gateway_id FROM pairs)
)
SELECT
    row_number() OVER () AS case_id,
    *,
    -- What the client asked for, as far as the mesh confirmed it: a cluster's name, or the SNI that the gateway read
    -- itself. What the client wrote (authority, the SNI at the sidecar) names a case whose cluster could be any host's.
    CASE
        WHEN serves = 'concrete' AND is_http THEN cluster_name
        WHEN serves = 'concrete' THEN coalesce(gateway_sni, cluster_name)
        WHEN is_http THEN coalesce(authority_name, sni_name, cluster_name)
        ELSE coalesce(sni_name, authority_name, cluster_name)
    END AS own_host
FROM both_hops;
