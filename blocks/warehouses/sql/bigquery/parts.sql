-- What this engine says in its own way; ../parts.sql says what each part is.

-- part: now
CURRENT_TIMESTAMP()

-- part: steady
CURRENT_TIMESTAMP()

-- part: steady_in
TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL {0} SECOND)

-- part: ago
TIMESTAMP_ADD(CURRENT_TIMESTAMP(), INTERVAL -{0} DAY)

-- part: today
TIMESTAMP_TRUNC(CURRENT_TIMESTAMP(), DAY)

-- part: time
TIMESTAMP({0})

-- part: read
{0}

-- part: seconds
TIMESTAMP_DIFF({1}, {0}, SECOND)

-- part: week
CAST(DATE_SUB(DATE({0}), INTERVAL MOD(DATE_DIFF(DATE({0}), DATE '1970-01-05', DAY), 7) DAY) AS STRING)

-- part: month
FORMAT_TIMESTAMP('%Y-%m', {0})

-- part: valid_until
TIMESTAMP_ADD(p.paid_before, INTERVAL :reply_days DAY)

-- part: among
IN UNNEST(JSON_VALUE_ARRAY({0}))

-- part: among_rows
IN (
    SELECT JSON_VALUE(value, '$.{0}') FROM UNNEST(JSON_QUERY_ARRAY(:rows)) AS value)

-- part: filled
TO_JSON_STRING({0}) NOT IN ('null', '[]')

-- part: json
TO_JSON_STRING({0})

-- part: given_json
PARSE_JSON({0}, wide_number_mode => 'round')

-- part: unlocked

-- part: text
STRING

-- part: view
CREATE VIEW IF NOT EXISTS {0}

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
