-- Overviews of a night for people. Each begins at an index: a million finished jobs cost nothing.

-- name: results_since
SELECT jobs.state, count(*) AS count FROM requests JOIN jobs ON jobs.request = requests.id
WHERE requests.finished >= :since AND jobs.finished >= :since GROUP BY jobs.state

-- name: results_of_live
SELECT jobs.state, count(*) AS count FROM requests JOIN jobs ON jobs.request = requests.id
WHERE requests.finished IS NULL AND jobs.finished >= :since GROUP BY jobs.state

-- name: refusals_since
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.finished >= :since AND requests.jobs = 0
  AND requests.state IN ('rejected', 'denied', 'norule', 'failed')
ORDER BY requests.id DESC LIMIT :limit

-- name: warnings_since
SELECT {job_columns} FROM requests JOIN jobs ON jobs.request = requests.id
WHERE requests.finished >= :since AND jobs.state = 'warning' ORDER BY jobs.id DESC LIMIT :limit

-- name: runs_since
SELECT jobs.work, jobs.state, jobs.started, jobs.finished, jobs.id, jobs.host
FROM requests JOIN jobs ON jobs.request = requests.id
WHERE (requests.finished >= :since OR requests.finished IS NULL) AND jobs.started IS NOT NULL
  AND coalesce(jobs.finished, jobs.started) >= :since
ORDER BY jobs.started DESC LIMIT :limit

-- name: requests_of_hosts_since
SELECT host, state, count(*) AS count FROM requests
WHERE (finished >= :since OR finished IS NULL) AND received >= :since GROUP BY host, state ORDER BY state

-- name: refusals_of_hosts_since
SELECT host, coalesce(reason, state) AS reason, count(*) AS count FROM requests
WHERE finished >= :since AND received >= :since AND jobs = 0 AND state IN ('rejected', 'denied', 'norule', 'failed')
GROUP BY host, coalesce(reason, state) ORDER BY count(*) DESC, reason

-- name: notices_and_delivery
SELECT id, host, word, fields, created, delivered, expired FROM notices WHERE request = :request ORDER BY id

-- name: history_before
SELECT at, request, job, subject, before, after, cause, actor, id
FROM transitions WHERE id < :first
