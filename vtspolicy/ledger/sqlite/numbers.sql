-- The numbers that SQLite has given, and the names in handles.

-- name: numbers_given
SELECT coalesce(max(CASE name WHEN 'events' THEN seq END), 0) AS events,
       coalesce(max(CASE name WHEN 'jobs' THEN seq END), 0) AS jobs,
       coalesce(max(CASE name WHEN 'notices' THEN seq END), 0) AS notices
FROM sqlite_sequence

-- name: reserve_numbers
INSERT INTO sqlite_sequence (name, seq)
SELECT column1, 0 FROM (VALUES ('events'), ('jobs'), ('notices'))
WHERE column1 NOT IN (SELECT name FROM sqlite_sequence)

-- name: go_on_behind
UPDATE sqlite_sequence SET seq = :last WHERE name = :name

-- name: was_served
SELECT 1 AS served WHERE EXISTS (SELECT 1 FROM eras WHERE first > 0)
            OR EXISTS (SELECT 1 FROM sqlite_sequence WHERE seq > 0)

-- name: begin_handle_name
INSERT INTO eras (first, name) VALUES (:first, lower(hex(randomblob(4))))
ON CONFLICT (first) DO UPDATE SET name = excluded.name
