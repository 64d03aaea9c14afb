-- The cases of some clients, and of an unknown client those that could be theirs and speak against a proof.
DELETE FROM cases
WHERE NOT CASE
    WHEN source_ip IS NULL THEN finding IN (SELECT name FROM findings WHERE accuses OR verdict = 'SENT_UNCONFIRMED')
    ELSE source_ip IN (SELECT unnest(?::VARCHAR[]))
END;
