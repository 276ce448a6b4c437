-- Commands as they come in.

-- name: record_event
INSERT INTO events (host, received, time, digest, system, process, ssid, number, critical, "user",
                    action_needed, action_id, event_id, wire, text, actor, why)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
RETURNING id

-- name: first_event
SELECT id FROM events WHERE time = ? AND digest = ?

-- name: record_request
INSERT INTO requests (id, host, received, state, family, operation, ref, event_id, rule, "table",
                      reason, jobs, live, finished)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: record_work
INSERT INTO works (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING

-- name: work_id
SELECT id FROM works WHERE hash = ?

-- name: work_body
SELECT body FROM works WHERE id = ?

-- name: record_job
INSERT INTO jobs (request, host, work, "values", rule, "lock", priority, notify, state, tape, path,
                  created)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING id

-- name: record_transition
INSERT INTO transitions (at, request, job, subject, before, after, cause, actor)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
