-- What this engine says in its own way; ../parts.sql says what each part is.
-- LEFT changes nothing here; the stand-in of the tests leaves the format out. ISO's day of the week is Monday's for
-- all.

-- part: now
SYSDATE()

-- part: steady
SYSDATE()

-- part: steady_in
DATEADD(second, {0}, SYSDATE())

-- part: ago
DATEADD(day, -1 * {0}, SYSDATE())

-- part: today
DATE_TRUNC('day', SYSDATE())

-- part: time
CAST({0} AS TIMESTAMP_NTZ)

-- part: read
DATE_PART(epoch_millisecond, {0})

-- part: seconds
ROUND(DATEDIFF(millisecond, {0}, {1}) / 1000)::INTEGER

-- part: week
LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO({0}), {0}), 'YYYY-MM-DD'), 10)

-- part: month
LEFT(TO_CHAR({0}, 'YYYY-MM'), 7)

-- part: valid_until
DATEADD(day, :reply_days, p.paid_before)

-- part: among
IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON({0}) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- part: among_rows
IN (
    SELECT f.value['{0}']::VARCHAR FROM (SELECT PARSE_JSON(:rows) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- part: filled
ARRAY_SIZE({0}) > 0

-- part: json
{0}

-- part: given_json
PARSE_JSON({0})

-- part: unlocked

-- part: text
VARCHAR

-- part: view
CREATE VIEW IF NOT EXISTS {0}

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
