-- What this engine says in its own way; ../every_engine.sql says what each part is.

-- part: read
{0}

-- part: among_ids
= ANY (:ids::text[])

-- part: json
{0}

-- part: week
to_char(date_trunc('week', {0} AT TIME ZONE 'UTC'), 'YYYY-MM-DD')

-- part: month
to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM')

-- part: seconds
ROUND(extract(epoch FROM {1} - {0}))::bigint

-- part: filled
{0} <> '[]'::jsonb

-- part: view
CREATE VIEW {0}

-- part: text
TEXT

-- part: time
{0}::timestamptz

-- part: valid_until
(p.paid_before + make_interval(days => :reply_days))

-- part: ago
(now() - make_interval(days => :days))

-- part: delete_old
-- Deletes old rows of a table, some at a time, so that no other writer waits for long.
DELETE FROM {table} WHERE ({key}) IN (
    SELECT {key} FROM {table}
    WHERE {old} LIMIT 10000)
