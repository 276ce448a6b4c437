-- What needs a person, by the JSON of works.

-- A job needs a person if it ended badly and nothing made it good: it was not run again with
-- success, and nothing did later to its tape what it was to do.
-- name: unrepaired
SELECT {job_columns} FROM jobs JOIN requests ON requests.id = jobs.request
JOIN works ON works.id = jobs.work
WHERE jobs.state IN ('failed', 'timedout', 'interrupted') AND jobs.finished >= :since
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
ORDER BY jobs.id DESC LIMIT :limit
