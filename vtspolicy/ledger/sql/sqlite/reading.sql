-- Questions that change nothing.

-- name: request_columns
requests.id, requests.host, requests.received, events.text, requests.state, requests.family,
requests.operation, requests.ref, requests.event_id, requests.rule, requests."table",
requests.reason, requests.jobs, requests.live, requests.completed, requests.warning,
requests.failed + requests.cancelled + requests.timedout + requests.interrupted, requests.finished

-- name: request
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.id = ?

-- name: requests_before
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.id < ?

-- name: live_requests
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.finished IS NULL AND requests.id > ? ORDER BY requests.id LIMIT ?

-- name: why
SELECT why FROM events WHERE id = ?

-- name: event_of
SELECT text, time, system, process, ssid, number, critical, "user", action_needed, action_id,
       event_id, wire
FROM events WHERE id = ?

-- name: jobs_before
SELECT {job_columns} FROM jobs JOIN requests ON requests.id = jobs.request WHERE jobs.id < ?

-- name: live_jobs
SELECT {job_columns} FROM jobs WHERE finished IS NULL AND id > ? ORDER BY id LIMIT ?

-- name: under_way
SELECT attempts.job, attempts.started, attempts.released
FROM jobs JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt
WHERE jobs.finished IS NULL AND jobs.state IN ('running', 'stopping')

-- name: attempt_columns
attempts.job, attempts.number, attempts.started, attempts.finished, attempts.kind, attempts.code,
attempts.signal, attempts.state, attempts.reason, attempts.output, attempts.readings, attempts.boot

-- name: attempt
SELECT {attempt_columns} FROM attempts WHERE job = ? AND number = ?

-- name: attempts
SELECT {attempt_columns} FROM attempts WHERE job = ? ORDER BY number

-- name: live_attempts
SELECT {attempt_columns}
FROM jobs JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt
WHERE jobs.finished IS NULL AND jobs.state IN ('running', 'stopping')
ORDER BY jobs.id

-- The number is given once: numbered places are deprecated since Python 3.12.
-- name: history_of_request
WITH wanted (id) AS (SELECT ?)
SELECT requests.received, requests.id, NULL, NULL, NULL, CASE WHEN jobs > 0 THEN 'open' ELSE state END,
       coalesce(rule, ''), actor
FROM requests JOIN events ON events.id = requests.id WHERE requests.id = (SELECT id FROM wanted)
UNION ALL
SELECT created, request, id, NULL, NULL, 'waiting', rule, 'engine' FROM jobs WHERE request = (SELECT id FROM wanted)
UNION ALL
SELECT at, request, job, subject, before, after, cause, actor
FROM (SELECT * FROM transitions WHERE request = (SELECT id FROM wanted) ORDER BY id)
UNION ALL
SELECT finished, id, NULL, NULL, 'open', state, coalesce(reason, ''), 'engine'
FROM requests WHERE id = (SELECT id FROM wanted) AND finished IS NOT NULL AND jobs > 0

-- name: history_of_job
WITH wanted (id) AS (SELECT ?)
SELECT created, request, id, NULL, NULL, 'waiting', rule, 'engine' FROM jobs WHERE id = (SELECT id FROM wanted)
UNION ALL
SELECT at, request, job, subject, before, after, cause, actor
FROM (
    SELECT * FROM transitions
    WHERE request = (SELECT request FROM jobs WHERE id = (SELECT id FROM wanted)) AND job = (SELECT id FROM wanted) ORDER BY id
)

-- name: history_of_subject
SELECT at, request, job, subject, before, after, cause, actor
FROM transitions WHERE subject = ? ORDER BY id

-- name: live_counts
SELECT state, count(*) FROM jobs WHERE finished IS NULL GROUP BY state

-- name: finished_counts
SELECT state, n FROM tallies

-- name: pending_counts
SELECT host, count(*), min(created) FROM notices WHERE delivered IS NULL GROUP BY host

-- name: meta
SELECT value FROM meta WHERE key = ?

-- name: set_batch
UPDATE meta SET value = ? WHERE key = 'batch'
