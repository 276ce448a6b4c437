-- Notices on their way to the hosts.

-- name: record_notice
INSERT INTO notices (host, request, word, fields, created, delivered)
VALUES (:host, :request, :word, :fields, :created, :delivered)
RETURNING id

-- name: record_notices
INSERT INTO notices (id, host, request, word, fields, created, delivered)
VALUES (:id, :host, :request, :word, :fields, :created, :delivered)

-- name: pending_notices
SELECT id, host, word, fields, created
FROM notices WHERE delivered IS NULL AND host = :host AND id > :after ORDER BY id LIMIT :limit

-- name: notices_of
SELECT id, host, word, fields, created FROM notices WHERE request = :request ORDER BY id

-- name: first_notice_of
SELECT id, host, word, fields, created FROM notices WHERE request = :request ORDER BY id LIMIT 1

-- name: deliver_notice
UPDATE notices SET delivered = :at WHERE id = :id AND delivered IS NULL
