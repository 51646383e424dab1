-- What this engine says in its own way; ../parts.sql says what each part is.

-- part: now
strftime('%Y-%m-%dT%H:%M:%fZ', 'now')

-- part: steady
steady(0)

-- part: steady_in
steady({0})

-- part: ago
strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-' || {0} || ' days')

-- part: today
strftime('%Y-%m-%dT00:00:00.000Z', 'now')

-- part: time
{0}

-- part: read
{0}

-- part: seconds
CAST(ROUND((julianday({1}) - julianday({0})) * 86400) AS INTEGER)

-- part: week
date({0}, 'weekday 0', '-6 days')

-- part: month
strftime('%Y-%m', {0})

-- part: valid_until
strftime('%Y-%m-%dT%H:%M:%fZ', p.paid_before, '+' || :reply_days || ' days')

-- part: among
IN (SELECT value FROM json_each({0}))

-- part: among_rows
IN (SELECT value ->> '{0}' FROM json_each(:rows))

-- part: filled
{0} <> '[]'

-- part: json
{0}

-- part: given_json
{0}

-- part: unlocked

-- part: text
TEXT

-- part: view
CREATE VIEW {0}

-- part: delete_old
-- Deletes old rows of a table, some at a time, so that no other writer waits for long.
DELETE FROM {table} WHERE ({key}) IN (
    SELECT {key} FROM {table}
    WHERE {old} LIMIT 10000)
