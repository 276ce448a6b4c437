-- Jobs and attempts from their start to their end.

-- name: job_columns
jobs.id, jobs.request, jobs.host, jobs.work, jobs."values", jobs.rule, jobs."lock", jobs.priority,
jobs.state, jobs.tape, jobs.path, jobs.attempt, jobs.due, jobs.created, jobs.started, jobs.finished,
jobs.code, jobs.reason, jobs.notify

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
SELECT before FROM attempts WHERE job = ? AND number = ?

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
       requests.jobs, requests.live, requests.completed, requests.warning, requests.failed,
       requests.cancelled, requests.timedout, requests.interrupted
FROM jobs JOIN requests ON requests.id = jobs.request
WHERE jobs.id = ?

-- name: settle_request
UPDATE requests
SET live = ?, completed = ?, warning = ?, failed = ?, cancelled = ?, timedout = ?, interrupted = ?,
    state = coalesce(?, state), finished = ?, reason = coalesce(?, reason)
WHERE id = ?

-- name: jobs_under_way
SELECT {job_columns} FROM jobs
WHERE request = ? AND finished IS NULL AND state <> 'waiting' ORDER BY id

-- name: note_waiting
INSERT INTO transitions (at, request, job, before, after, cause, actor)
SELECT ?, request, id, state, ?, ?, ?
FROM jobs WHERE request = ? AND finished IS NULL AND state = 'waiting' ORDER BY id

-- name: end_waiting
UPDATE jobs SET state = ?, finished = ?, reason = ?
WHERE request = ? AND finished IS NULL AND state = 'waiting'
RETURNING {job_columns}

-- name: eras
SELECT first, name FROM eras ORDER BY first

-- name: job_numbers_given
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0)

-- name: reserve_job_numbers
INSERT INTO sqlite_sequence (name, seq) SELECT 'jobs', 0
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'jobs')

-- name: set_job_numbers
UPDATE sqlite_sequence SET seq = ? WHERE name = 'jobs'

-- name: begin_era
INSERT INTO eras (first, name) VALUES (?, lower(hex(randomblob(4))))
ON CONFLICT (first) DO UPDATE SET name = excluded.name
