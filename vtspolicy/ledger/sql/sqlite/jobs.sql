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
INSERT INTO attempts (job, number, started) VALUES (?, ?, ?)

-- name: finish_attempt
UPDATE attempts
SET finished = ?, kind = ?, code = ?, signal = ?, state = ?, reason = ?, output = ?, readings = ?
WHERE job = ? AND number = ? AND finished IS NULL

-- name: move_job
UPDATE jobs SET state = ?, due = ?, finished = ?, code = ?, reason = ? WHERE id = ?

-- name: stop_job
UPDATE jobs SET state = ?, reason = ? WHERE id = ?

-- name: postpone_job
UPDATE jobs SET due = ? WHERE id = ? AND state = 'waiting'

-- name: count_job
UPDATE tallies SET n = n + 1 WHERE state = ?

-- name: settle_request
UPDATE requests
SET live = live - 1,
    completed = completed + (?1 = 'completed'), warning = warning + (?1 = 'warning'),
    failed = failed + (?1 = 'failed'), cancelled = cancelled + (?1 = 'cancelled'),
    timedout = timedout + (?1 = 'timedout'), interrupted = interrupted + (?1 = 'interrupted')
WHERE id = ?2
RETURNING live, completed, warning, failed, cancelled, timedout, interrupted,
          jobs, host, ref, family, operation, event_id, received

-- name: request_marks
SELECT ref, family, operation, event_id FROM requests WHERE id = ?

-- name: close_request
UPDATE requests SET state = ?, finished = ?, reason = ? WHERE id = ? AND finished IS NULL

-- name: live_jobs_of
SELECT {job_columns} FROM jobs WHERE request = ? AND finished IS NULL ORDER BY id
