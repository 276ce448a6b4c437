-- Questions that change nothing.

-- name: request_columns
requests.id, requests.host, requests.received, events.text, requests.state, requests.family,
requests.operation, requests.ref, requests.event_id, requests.rule, requests."table",
requests.reason, requests.jobs, requests.live, requests.completed, requests.warning,
requests.failed + requests.cancelled + requests.timedout + requests.interrupted AS bad, requests.finished,
requests.again

-- name: request
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.id = :id

-- name: request_by_ref
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.ref = :ref AND requests.host = :host
  AND coalesce(requests.operation, '') NOT IN ('status', 'cancel')
ORDER BY requests.id DESC LIMIT 1

-- name: requests_before
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.id < :first

-- name: live_requests
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.finished IS NULL AND requests.id > :after ORDER BY requests.id LIMIT :limit

-- name: why
SELECT why FROM events WHERE id = :id

-- name: rule_table
SELECT rules FROM rule_tables WHERE hash = :hash

-- name: event_of
SELECT text, time, system, process, ssid, number, critical, "user", action_needed, action_id,
       event_id, wire
FROM events WHERE id = :id

-- name: jobs_before
SELECT {job_columns} FROM jobs JOIN requests ON requests.id = jobs.request WHERE jobs.id < :first

-- name: repeats
SELECT id FROM jobs WHERE repeats = :job ORDER BY id

-- name: live_jobs
SELECT {job_columns} FROM jobs WHERE finished IS NULL AND id > :after ORDER BY id LIMIT :limit

-- name: waiting_jobs
SELECT id, work, "lock", priority, due, created, attempt, started FROM jobs
WHERE finished IS NULL AND state = 'waiting' AND id > :after ORDER BY id LIMIT :limit

-- name: under_way
SELECT attempts.job, attempts.started, attempts.released
FROM jobs JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt
WHERE jobs.finished IS NULL AND jobs.state IN ('running', 'stopping')

-- name: attempt_columns
attempts.job, attempts.number, attempts.started, attempts.finished, attempts.kind, attempts.code,
attempts.signal, attempts.state, attempts.reason, attempts.output, attempts.readings, attempts.boot

-- name: attempt
SELECT {attempt_columns} FROM attempts WHERE job = :job AND number = :number

-- name: attempts
SELECT {attempt_columns} FROM attempts WHERE job = :job ORDER BY number

-- name: live_attempts
SELECT {attempt_columns}
FROM jobs JOIN attempts ON attempts.job = jobs.id AND attempts.number = jobs.attempt
WHERE jobs.finished IS NULL AND jobs.state IN ('running', 'stopping')
ORDER BY jobs.id

-- The number is given once: numbered places are deprecated since Python 3.12.
-- In the order of recording, not by the clock, which may have been set back. A request has no line
-- of its own for its end: that comes behind the last one that changed anything, and before those
-- that only say that its jobs are done again.
-- name: history_of_request
WITH wanted (id) AS (SELECT :id)
SELECT at, request, job, subject, before, after, cause, actor FROM (
    SELECT 0 AS part, 0 AS number, 0 AS place, requests.received AS at, requests.id AS request, NULL AS job,
           NULL AS subject, NULL AS before, CASE WHEN jobs > 0 THEN 'open' ELSE state END AS after,
           coalesce(rule, '') AS cause, actor
    FROM requests JOIN events ON events.id = requests.id WHERE requests.id = (SELECT id FROM wanted)
    UNION ALL
    SELECT 1, id, 0, created, request, id, NULL, NULL, 'waiting', rule, 'engine'
    FROM jobs WHERE request = (SELECT id FROM wanted)
    UNION ALL
    SELECT 2, id, 0, at, request, job, subject, before, after, cause, actor
    FROM transitions WHERE request = (SELECT id FROM wanted)
    UNION ALL
    SELECT 2, (SELECT max(id) FROM transitions WHERE request = (SELECT id FROM wanted) AND before IS NOT after),
           1, finished, id, NULL, NULL, 'open', state, coalesce(reason, ''), 'engine'
    FROM requests WHERE id = (SELECT id FROM wanted) AND finished IS NOT NULL AND jobs > 0
) ORDER BY part, number, place

-- name: history_of_job
WITH wanted (id) AS (SELECT :id)
SELECT at, request, job, subject, before, after, cause, actor FROM (
    SELECT 0 AS number, created AS at, request, id AS job, NULL AS subject, NULL AS before, 'waiting' AS after,
           rule AS cause, 'engine' AS actor
    FROM jobs WHERE id = (SELECT id FROM wanted)
    UNION ALL
    SELECT id, at, request, job, subject, before, after, cause, actor FROM transitions
    WHERE request = (SELECT request FROM jobs WHERE id = (SELECT id FROM wanted)) AND job = (SELECT id FROM wanted)
) ORDER BY number

-- name: history_of_subject
SELECT at, request, job, subject, before, after, cause, actor
FROM transitions WHERE subject = :subject ORDER BY id

-- name: failed_since
SELECT count(*) AS count FROM jobs
WHERE jobs.state IN ('failed', 'timedout', 'interrupted') AND jobs.finished >= :since
  AND NOT EXISTS (SELECT 1 FROM jobs AS again WHERE again.repeats = jobs.id)

-- name: failed_alone
SELECT count(*) AS count FROM requests WHERE finished >= :since AND finished IS NOT NULL AND jobs = 0 AND state = 'failed'

-- name: lost_tapes
SELECT count(*) AS count FROM tapes JOIN copies ON copies.id = tapes.held
WHERE copies.lost IS NOT NULL AND tapes.state IN ('migrated', 'erased')

-- name: oldest_jobs
SELECT state, work, min(CASE WHEN state = 'waiting' THEN created ELSE coalesce(started, created) END) AS since
FROM jobs WHERE finished IS NULL GROUP BY state, work

-- name: successes
SELECT work, host, rule, max(finished) AS finished FROM jobs WHERE state = 'completed' GROUP BY work, host, rule

-- name: live_counts
SELECT state, count(*) AS n FROM jobs WHERE finished IS NULL GROUP BY state

-- name: finished_counts
SELECT state, n FROM tallies

-- name: pending_counts
SELECT host, count(*) AS count, min(created) AS oldest FROM notices WHERE delivered IS NULL GROUP BY host

-- name: meta
SELECT value FROM meta WHERE key = :key

-- name: set_batch
UPDATE meta SET value = :value WHERE key = 'batch'
