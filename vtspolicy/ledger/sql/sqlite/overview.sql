-- Overviews of a night for people. Each begins at an index: a million finished jobs cost nothing.

-- name: results_since
SELECT jobs.state, count(*) FROM requests JOIN jobs ON jobs.request = requests.id
WHERE requests.finished >= ? AND jobs.finished >= ? GROUP BY jobs.state

-- name: results_of_live
SELECT jobs.state, count(*) FROM requests JOIN jobs ON jobs.request = requests.id
WHERE requests.finished IS NULL AND jobs.finished >= ? GROUP BY jobs.state

-- name: refusals_since
SELECT {request_columns} FROM requests JOIN events ON events.id = requests.id
WHERE requests.finished >= ? AND requests.jobs = 0
  AND requests.state IN ('rejected', 'denied', 'norule', 'failed')
ORDER BY requests.id DESC LIMIT ?

-- A job needs a person if it ended badly and nothing made it good: it was not run again with
-- success, and nothing did later to its tape what it was to do.
-- name: unrepaired
SELECT {job_columns} FROM jobs JOIN requests ON requests.id = jobs.request
JOIN works ON works.id = jobs.work
WHERE jobs.state IN ('failed', 'timedout', 'interrupted') AND jobs.finished >= ?
  AND NOT EXISTS (
      SELECT 1 FROM jobs AS again WHERE again.repeats = jobs.id
      AND again.state NOT IN ('failed', 'timedout', 'interrupted', 'cancelled')
  )
  AND NOT (
      json_extract(works.body, '$.then') = 'migrated' AND EXISTS (
          SELECT 1 FROM copies WHERE copies.path = jobs.path AND copies.began >= jobs.created
          AND copies.job > jobs.id AND copies.lost IS NULL
      )
  )
  AND NOT EXISTS (
      SELECT 1 FROM tapes WHERE tapes.path = jobs.path AND jobs.finished <= CASE json_extract(works.body, '$.then')
          WHEN 'erased' THEN tapes.erased WHEN 'restored' THEN tapes.restored WHEN 'deleted' THEN tapes.deleted
      END
  )
ORDER BY jobs.id DESC LIMIT ?

-- name: warnings_since
SELECT {job_columns} FROM requests JOIN jobs ON jobs.request = requests.id
WHERE requests.finished >= ? AND jobs.state = 'warning' ORDER BY jobs.id DESC LIMIT ?

-- name: runs_since
SELECT jobs.work, jobs.state, jobs.started, jobs.finished, jobs.id, jobs.host
FROM requests JOIN jobs ON jobs.request = requests.id
WHERE (requests.finished >= ? OR requests.finished IS NULL) AND jobs.started IS NOT NULL
  AND coalesce(jobs.finished, jobs.started) >= ?
ORDER BY jobs.started DESC LIMIT ?

-- name: notices_and_delivery
SELECT id, host, word, fields, created, delivered, expired FROM notices WHERE request = ? ORDER BY id

-- name: history_before
SELECT at, request, job, subject, before, after, cause, actor, id
FROM transitions WHERE id < ?
