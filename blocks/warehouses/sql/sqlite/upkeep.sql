-- What the statements that delete old rows and those of the audit are made of; every_engine.sql says which rows are old,
-- audit.sql which ones break a promise.

-- part: time
{moment}

-- part: valid_until
strftime('%Y-%m-%dT%H:%M:%fZ', p.paid_before, '+' || :reply_days || ' days')

-- part: ago
strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || :days || ' days')

-- part: delete_old
-- Deletes old rows of a table, some at a time, so that no other writer waits for long.
DELETE FROM {table} WHERE ({key}) IN (
    SELECT {key} FROM {table}
    WHERE {old} LIMIT 10000)
