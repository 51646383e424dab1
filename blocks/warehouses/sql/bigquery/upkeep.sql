-- What the statements that delete old rows and those of the audit are made of; every_engine.sql says which rows are old,
-- audit.sql which ones break a promise.

-- part: time
TIMESTAMP({moment})

-- part: valid_until
TIMESTAMP_ADD(p.paid_before, INTERVAL :reply_days DAY)

-- part: ago
TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL -:days DAY)

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
