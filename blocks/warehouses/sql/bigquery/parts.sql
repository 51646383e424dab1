-- What this engine says in its own way; ../every_engine.sql says what each part is.

-- part: read
{0}

-- part: among_ids
IN UNNEST(JSON_VALUE_ARRAY(:ids))

-- part: json
TO_JSON_STRING({0})

-- part: week
CAST(DATE_SUB(DATE({0}), INTERVAL MOD(DATE_DIFF(DATE({0}), DATE '1970-01-05', DAY), 7) DAY) AS STRING)

-- part: month
FORMAT_TIMESTAMP('%Y-%m', {0})

-- part: seconds
TIMESTAMP_DIFF({1}, {0}, SECOND)

-- part: filled
TO_JSON_STRING({0}) NOT IN ('null', '[]')

-- part: view
CREATE VIEW IF NOT EXISTS {0}

-- part: text
STRING

-- part: time
TIMESTAMP({0})

-- part: valid_until
TIMESTAMP_ADD(p.paid_before, INTERVAL :reply_days DAY)

-- part: ago
TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL -:days DAY)

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
