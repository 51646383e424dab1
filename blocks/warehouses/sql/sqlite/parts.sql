-- What this engine says in its own way; ../every_engine.sql says what each part is.

-- part: read
{0}

-- part: among_ids
IN (SELECT value FROM json_each(:ids))

-- part: json
{0}

-- part: week
date({0}, 'weekday 0', '-6 days')

-- part: month
strftime('%Y-%m', {0})

-- part: seconds
CAST(ROUND((julianday({1}) - julianday({0})) * 86400) AS INTEGER)

-- part: filled
{0} <> '[]'

-- part: view
CREATE VIEW {0}

-- part: text
TEXT

-- part: time
{0}

-- part: valid_until
strftime('%Y-%m-%dT%H:%M:%fZ', p.paid_before, '+' || :reply_days || ' days')

-- part: ago
strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || :days || ' days')

-- part: delete_old
-- Deletes old rows of a table, some at a time, so that no other writer waits for long.
DELETE FROM {table} WHERE ({key}) IN (
    SELECT {key} FROM {table}
    WHERE {old} LIMIT 10000)
