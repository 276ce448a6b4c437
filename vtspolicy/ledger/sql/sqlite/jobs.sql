-- Jobs and attempts from their start to their end.

-- name: job_columns
jobs.id, jobs.request, jobs.host, jobs.work, jobs."values", jobs.rule, jobs."lock", jobs.priority,
jobs.state, jobs.tape, jobs.path, jobs.attempt, jobs.due, jobs.created, jobs.started, jobs.finished,
jobs.code, jobs.reason, jobs.notify, jobs.repeats,
(SELECT requests.ref FROM requests WHERE requests.id = jobs.request),
(SELECT requests.family FROM requests WHERE requests.id = jobs.request)

-- name: job
SELECT {job_columns} FROM jobs WHERE id = ?

-- name: start_job
UPDATE jobs SET state = 'running', attempt = attempt + 1, started = coalesce(started, ?)
WHERE id = ? AND state = 'waiting'
RETURNING {job_columns}

-- name: start_attempt
INSERT INTO attempts (job, number, started, before, boot) VALUES (?, ?, ?, ?, ?)

-- name: note_readings
UPDATE attempts SET readings = ? WHERE job = ? AND number = ? AND finished IS NULL

-- name: tapes_before
SELECT before, started FROM attempts WHERE job = ? AND number = ?

-- name: note_plan
UPDATE attempts SET plan = ? WHERE job = ? AND number = ? AND finished IS NULL

-- name: plan
SELECT plan FROM attempts WHERE job = ? AND number = ?

-- name: finish_attempt
UPDATE attempts
SET finished = ?, kind = ?, code = ?, signal = ?, state = ?, reason = ?, output = ?, readings = ?
WHERE job = ? AND number = ? AND finished IS NULL

-- name: move_job
UPDATE jobs SET state = ?, due = ?, finished = ?, code = ?, reason = ? WHERE id = ?

-- name: stop_job
UPDATE jobs SET state = ?, reason = ? WHERE id = ?

-- name: release_attempt
UPDATE attempts SET released = ?
WHERE job = ? AND number = (SELECT attempt FROM jobs WHERE id = job) AND finished IS NULL

-- name: postpone_job
UPDATE jobs SET due = ? WHERE id = ? AND state = 'waiting'

-- name: count_job
UPDATE tallies SET n = n + ? WHERE state = ?

-- name: job_and_request
SELECT {job_columns},
       requests.ref, requests.family, requests.operation, requests.event_id, requests.received,
       requests.jobs, requests.live, requests.again, requests.completed, requests.warning, requests.failed,
       requests.cancelled, requests.timedout, requests.interrupted
FROM jobs JOIN requests ON requests.id = jobs.request
WHERE jobs.id = ?

-- name: settle_request
UPDATE requests
SET live = ?, completed = ?, warning = ?, failed = ?, cancelled = ?, timedout = ?, interrupted = ?,
    state = coalesce(?, state), finished = ?, reason = coalesce(?, reason)
WHERE id = ?

-- name: first_reason
SELECT reason, tape FROM jobs WHERE request = ? AND state = ? AND reason IS NOT NULL
ORDER BY finished, id LIMIT 1

-- name: jobs_under_way
SELECT {job_columns} FROM jobs
WHERE request = ? AND finished IS NULL AND state <> 'waiting' ORDER BY id

-- name: jobs_on_tape
SELECT {job_columns} FROM jobs
WHERE finished IS NULL AND state <> 'waiting' AND (path = ? OR "lock" = ? OR "lock" = ?)

-- name: first_of_last
SELECT min(id) FROM (
    SELECT id FROM jobs
    WHERE request = ? AND finished IS NULL AND state = 'waiting' AND id < ?
    ORDER BY id DESC LIMIT ?
)

-- name: note_waiting
INSERT INTO transitions (at, request, job, before, after, cause, actor)
SELECT ?, request, id, state, ?, ?, ?
FROM jobs
WHERE request = ? AND finished IS NULL AND state = 'waiting' AND id >= ? AND id < ? ORDER BY id

-- name: end_waiting
UPDATE jobs SET state = ?, finished = ?, reason = ?
WHERE request = ? AND finished IS NULL AND state = 'waiting' AND id >= ? AND id < ?
RETURNING {job_columns}

-- name: eras
SELECT first, name FROM eras ORDER BY first

-- name: reserve_numbers
INSERT INTO sqlite_sequence (name, seq)
SELECT column1, 0 FROM (VALUES ('events'), ('jobs'), ('notices'))
WHERE column1 NOT IN (SELECT name FROM sqlite_sequence)

-- name: go_on_behind
UPDATE sqlite_sequence SET seq = ? WHERE name = ?

-- name: keep_spool_mark
INSERT INTO meta (key, value) VALUES ('spool_mark', ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: end_put_back
DELETE FROM meta WHERE key = 'put_back'

-- name: was_served
SELECT 1 WHERE EXISTS (SELECT 1 FROM eras WHERE first > 0)
            OR EXISTS (SELECT 1 FROM sqlite_sequence WHERE seq > 0)

-- name: doubt_attempts
UPDATE attempts SET boot = ?
WHERE finished IS NULL
  AND job IN (SELECT id FROM jobs WHERE finished IS NULL AND state IN ('running', 'stopping'))

-- name: begin_era
INSERT INTO eras (first, name) VALUES (?, lower(hex(randomblob(4))))
ON CONFLICT (first) DO UPDATE SET name = excluded.name
