-- What this engine says in its own way; ../parts.sql says what each part is.

-- part: now
now()

-- part: steady
now()

-- part: steady_in
now() + make_interval(secs => {0})

-- part: ago
(now() - make_interval(days => {0}))

-- part: today
date_trunc('day', now())

-- part: time
{0}::timestamptz

-- part: read
{0}

-- part: seconds
ROUND(extract(epoch FROM {1} - {0}))::bigint

-- part: week
to_char(date_trunc('week', {0} AT TIME ZONE 'UTC'), 'YYYY-MM-DD')

-- part: month
to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM')

-- part: valid_until
(p.paid_before + make_interval(days => :reply_days))

-- part: among
= ANY ({0}::text[])

-- part: among_rows
IN (SELECT value ->> '{0}' FROM jsonb_array_elements(:rows::jsonb) AS r(value))

-- part: filled
{0} <> '[]'::jsonb

-- part: json
{0}

-- part: given_json
{0}::jsonb

-- part: unlocked
FOR UPDATE SKIP LOCKED

-- part: text
TEXT

-- part: view
CREATE VIEW {0}

-- part: delete_old
-- Deletes old rows of a table, some at a time, so that no other writer waits for long.
DELETE FROM {table} WHERE ({key}) IN (
    SELECT {key} FROM {table}
    WHERE {old} LIMIT 10000)
