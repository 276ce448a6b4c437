-- Jobs and attempts from their start to their end.

-- name: job_columns
jobs.id, jobs.request, jobs.host, jobs.work, jobs."values", jobs.rule, jobs."lock", jobs.priority,
jobs.state, jobs.tape, jobs.path, jobs.attempt, jobs.due, jobs.created, jobs.started, jobs.finished,
jobs.code, jobs.reason, jobs.notify, jobs.repeats,
(SELECT requests.ref FROM requests WHERE requests.id = jobs.request) AS ref,
(SELECT requests.family FROM requests WHERE requests.id = jobs.request) AS family

-- name: job
SELECT {job_columns} FROM jobs WHERE id = :id

-- name: start_job
UPDATE jobs SET state = :after, attempt = attempt + 1, started = coalesce(started, :at)
WHERE id = :id AND state = :before
RETURNING {job_columns}

-- name: start_attempt
INSERT INTO attempts (job, number, started, before, boot) VALUES (:job, :number, :started, :before, :boot)

-- name: note_readings
UPDATE attempts SET readings = :readings WHERE job = :job AND number = :number AND finished IS NULL

-- name: tapes_before
SELECT before, started FROM attempts WHERE job = :job AND number = :number

-- name: note_plan
UPDATE attempts SET plan = :plan WHERE job = :job AND number = :number AND finished IS NULL

-- name: plan
SELECT plan FROM attempts WHERE job = :job AND number = :number

-- name: finish_attempt
UPDATE attempts
SET finished = :finished, kind = :kind, code = :code, signal = :signal, state = :state, reason = :reason, output = :output, readings = :readings
WHERE job = :job AND number = :number AND finished IS NULL

-- name: move_job
UPDATE jobs SET state = :state, due = :due, finished = :finished, code = :code, reason = :reason WHERE id = :id

-- name: stop_job
UPDATE jobs SET state = :state, reason = :reason WHERE id = :id

-- name: release_attempt
UPDATE attempts SET released = :released
WHERE job = :job AND number = (SELECT attempt FROM jobs WHERE id = job) AND finished IS NULL

-- name: postpone_job
UPDATE jobs SET due = :due WHERE id = :id AND state = 'waiting'

-- name: count_job
UPDATE tallies SET n = n + :count WHERE state = :state

-- name: job_and_request
SELECT {job_columns},
       requests.operation, requests.event_id, requests.received, requests.jobs, requests.live,
       requests.again, requests.completed, requests.warning, requests.failed, requests.cancelled,
       requests.timedout, requests.interrupted
FROM jobs JOIN requests ON requests.id = jobs.request
WHERE jobs.id = :id

-- name: settle_request
UPDATE requests
SET live = :live, completed = :completed, warning = :warning, failed = :failed, cancelled = :cancelled, timedout = :timedout, interrupted = :interrupted,
    state = coalesce(:state, state), finished = :finished, reason = coalesce(:reason, reason)
WHERE id = :id

-- name: first_reason
SELECT reason, tape FROM jobs WHERE request = :request AND state = :state AND reason IS NOT NULL
ORDER BY finished, id LIMIT 1

-- name: jobs_under_way
SELECT {job_columns} FROM jobs
WHERE request = :request AND finished IS NULL AND state <> 'waiting' ORDER BY id

-- name: jobs_on_tape
SELECT {job_columns} FROM jobs
WHERE finished IS NULL AND state <> 'waiting' AND (path = :path OR "lock" = :path OR "lock" = :pool)

-- name: first_of_last
SELECT min(id) AS id FROM (
    SELECT id FROM jobs
    WHERE request = :request AND finished IS NULL AND state = 'waiting' AND id < :below
    ORDER BY id DESC LIMIT :limit
) AS last

-- name: note_waiting
INSERT INTO transitions (at, request, job, before, after, cause, actor)
SELECT :at, request, id, state, :after, :cause, :actor
FROM jobs
WHERE request = :request AND finished IS NULL AND state = 'waiting' AND id >= :first AND id < :below
ORDER BY id

-- name: end_waiting
UPDATE jobs SET state = :state, finished = :finished, reason = :reason
WHERE request = :request AND finished IS NULL AND state = 'waiting' AND id >= :first AND id < :below
RETURNING {job_columns}

-- What the handles of jobs begin with, by the first job that has it.
-- name: handle_names
SELECT first, name FROM eras ORDER BY first

-- name: end_put_back
DELETE FROM meta WHERE key = 'put_back'

-- name: doubt_attempts
UPDATE attempts SET boot = :boot
WHERE finished IS NULL
  AND job IN (SELECT id FROM jobs WHERE finished IS NULL AND state IN ('running', 'stopping'))
