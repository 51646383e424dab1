-- What this engine says in its own way; ../every_engine.sql says what each part is.
-- LEFT changes nothing here; the stand-in of the tests leaves the format out. ISO's day of the week is Monday's for
-- all.

-- part: read
DATE_PART(epoch_millisecond, {0})

-- part: among_ids
IN (
    SELECT f.value::VARCHAR FROM (SELECT PARSE_JSON(:ids) AS j) p, LATERAL FLATTEN(INPUT => p.j) f)

-- part: json
{0}

-- part: week
LEFT(TO_CHAR(DATEADD(day, 1 - DAYOFWEEKISO({0}), {0}), 'YYYY-MM-DD'), 10)

-- part: month
LEFT(TO_CHAR({0}, 'YYYY-MM'), 7)

-- part: seconds
ROUND(DATEDIFF(millisecond, {0}, {1}) / 1000)::INTEGER

-- part: filled
ARRAY_SIZE({0}) > 0

-- part: view
CREATE VIEW IF NOT EXISTS {0}

-- part: text
VARCHAR

-- part: time
CAST({0} AS TIMESTAMP_NTZ)

-- part: valid_until
DATEADD(day, :reply_days, p.paid_before)

-- part: ago
DATEADD(day, -1 * :days, SYSDATE())

-- part: delete_old
-- Deletes the old rows of a table at once: a part would read as much of it.
DELETE FROM {table}
WHERE {old}
