-- What this engine says in its own way; ../every_engine.sql says what each part is.

-- part: read
{0}

-- part: among_ids
IN (SELECT r.value FROM :ids r)

-- part: json
JSON_SERIALIZE({0})

-- part: week
TO_CHAR(DATE_TRUNC('week', {0}), 'YYYY-MM-DD')

-- part: month
TO_CHAR({0}, 'YYYY-MM')

-- part: seconds
EXTRACT(EPOCH FROM {1})::BIGINT - EXTRACT(EPOCH FROM {0})::BIGINT

-- part: filled
JSON_SERIALIZE({0}) NOT IN ('null', '[]')

-- part: view
CREATE VIEW {0}

-- part: text
VARCHAR(256)

-- part: time
{0}::TIMESTAMP

-- part: valid_until
DATEADD(day, :reply_days, p.paid_before)

-- part: ago
DATEADD(day, -:days, GETDATE())

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
