-- What this engine says in its own way; ../parts.sql says what each part is.

-- part: now
GETDATE()

-- part: steady
GETDATE()

-- part: steady_in
DATEADD(second, {0}, GETDATE())

-- part: ago
DATEADD(day, -{0}, GETDATE())

-- part: today
DATE_TRUNC('day', GETDATE())

-- part: time
{0}::TIMESTAMP

-- part: read
{0}

-- part: seconds
(EXTRACT(EPOCH FROM {1})::BIGINT - EXTRACT(EPOCH FROM {0})::BIGINT)

-- part: week
TO_CHAR(DATE_TRUNC('week', {0}), 'YYYY-MM-DD')

-- part: month
TO_CHAR({0}, 'YYYY-MM')

-- part: valid_until
DATEADD(day, :reply_days, p.paid_before)

-- part: among
IN (SELECT r.value FROM {0} r)

-- part: among_rows
IN (SELECT r.{0} FROM :rows r)

-- part: filled
JSON_SERIALIZE({0}) NOT IN ('null', '[]')

-- part: json
JSON_SERIALIZE({0})

-- part: given_json
JSON_PARSE({0})

-- part: unlocked

-- part: text
VARCHAR(256)

-- part: view
CREATE VIEW {0}

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
