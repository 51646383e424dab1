-- What the statements that delete old rows and those of the audit are made of; every_engine.sql says which rows are old,
-- audit.sql which ones break a promise.

-- part: time
{moment}::TIMESTAMP

-- part: valid_until
DATEADD(day, :reply_days, p.paid_before)

-- part: ago
DATEADD(day, -:days, GETDATE())

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
