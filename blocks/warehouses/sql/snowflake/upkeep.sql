-- What the statements that delete old rows and those of the audit are made of; every_engine.sql says which rows are old,
-- audit.sql which ones break a promise.

-- part: time
CAST({moment} AS TIMESTAMP_NTZ)

-- part: valid_until
DATEADD(day, :reply_days, p.paid_before)

-- part: ago
DATEADD(day, -1 * :days, SYSDATE())

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
