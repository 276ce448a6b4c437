-- Commands as they come in.

-- name: event_columns
host, received, time, digest, system, process, ssid, number, critical, "user", action_needed,
action_id, event_id, wire, text, actor, why

-- name: numbers_given
SELECT name, seq FROM sqlite_sequence WHERE name IN ('events', 'jobs', 'notices')

-- name: record_event
INSERT INTO events ({event_columns})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
RETURNING id

-- name: record_events
INSERT INTO events (id, {event_columns})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING

-- name: first_event
SELECT id FROM events WHERE time = ? AND digest = ?

-- name: record_requests
INSERT INTO requests (id, host, received, state, family, operation, ref, event_id, rule, "table",
                      reason, jobs, live, finished, again)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: record_work
INSERT INTO works (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: work_id
SELECT id FROM works WHERE hash = ?

-- name: work_body
SELECT body FROM works WHERE id = ?

-- name: record_jobs
INSERT INTO jobs (id, request, host, work, "values", rule, "lock", priority, notify, state, tape,
                  path, created, repeats)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- A live job of the same work: one by which the job is run again, or another repeat of what it repeats.
-- name: live_renewal
WITH RECURSIVE again (job) AS (
    SELECT ?
    UNION
    SELECT jobs.id FROM again CROSS JOIN jobs ON jobs.repeats = again.job
    UNION
    SELECT jobs.repeats FROM again CROSS JOIN jobs ON jobs.id = again.job AND jobs.repeats IS NOT NULL
)
SELECT jobs.id FROM again CROSS JOIN jobs ON jobs.id = again.job WHERE jobs.finished IS NULL LIMIT 1

-- name: record_transition
INSERT INTO transitions (at, request, job, subject, before, after, cause, actor)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: replace_rule_tables
UPDATE rule_tables SET last = (SELECT coalesce(max(id), 0) FROM events)
WHERE last IS NULL AND hash <> ?

-- name: keep_rule_table
INSERT INTO rule_tables (hash, rules) VALUES (?, ?) ON CONFLICT (hash) DO UPDATE SET last = NULL

-- name: mark_unfinished
INSERT INTO meta (key, value) VALUES ('unfinished:' || ?, '')

-- name: end_unfinished
DELETE FROM meta WHERE key = 'unfinished:' || ?

-- name: unfinished
SELECT 1 FROM meta WHERE key = 'unfinished:' || ?

-- name: unfinished_requests
SELECT CAST(substr(key, 12) AS INTEGER) FROM meta WHERE key GLOB 'unfinished:*'
