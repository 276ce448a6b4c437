-- Notices on their way to the hosts.

-- name: record_notice
INSERT INTO notices (host, request, word, fields, created, delivered)
VALUES (?, ?, ?, ?, ?, ?)
RETURNING id

-- name: record_notices
INSERT INTO notices (id, host, request, word, fields, created, delivered)
VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: pending_notices
SELECT id, host, word, fields, created
FROM notices WHERE delivered IS NULL AND host = ? AND id > ? ORDER BY id LIMIT ?

-- name: notices_of
SELECT id, host, word, fields, created FROM notices WHERE request = ? ORDER BY id

-- name: first_notice_of
SELECT id, host, word, fields, created FROM notices WHERE request = ? ORDER BY id LIMIT 1

-- name: deliver_notice
UPDATE notices SET delivered = ? WHERE id = ? AND delivered IS NULL

-- name: expire_notices
UPDATE notices SET delivered = ?, expired = 1
WHERE id IN (
    SELECT id FROM notices WHERE delivered IS NULL AND created < ?
    AND NOT EXISTS (
        SELECT 1 FROM json_each(?) AS spared
        WHERE created BETWEEN json_extract(spared.value, '$[0]') AND json_extract(spared.value, '$[1]')
    )
    LIMIT ?
)
