-- Addresses that turned out to be inside.
UPDATE ${hop}_lines SET
    upstream_is_external = upstream_is_external AND upstream_ip NOT IN (SELECT ip FROM inside_addresses),
    downstream_local_is_external = downstream_local_is_external
        AND downstream_local_ip NOT IN (SELECT ip FROM inside_addresses),
    source_is_external = source_is_external AND source_ip NOT IN (SELECT ip FROM inside_addresses)
WHERE upstream_ip IN (SELECT ip FROM inside_addresses)
    OR downstream_local_ip IN (SELECT ip FROM inside_addresses)
    OR source_ip IN (SELECT ip FROM inside_addresses);
