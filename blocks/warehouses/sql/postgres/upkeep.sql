-- What the statements that delete old rows and those of the audit are made of; every_engine.sql says which rows are old,
-- audit.sql which ones break a promise.

-- part: time
{moment}::timestamptz

-- part: valid_until
(p.paid_before + make_interval(days => :reply_days))

-- part: ago
(now() - make_interval(days => :days))

-- part: delete_old
-- Deletes old rows of a table, some at a time, so that no other writer waits for long.
DELETE FROM {table} WHERE ({key}) IN (
    SELECT {key} FROM {table}
    WHERE {old} LIMIT 10000)
