-- Requests that an earlier server has begun, by their marks.

-- name: unfinished_requests
SELECT CAST(substr(key, 12) AS INTEGER) AS id FROM meta WHERE key GLOB 'unfinished:*'
