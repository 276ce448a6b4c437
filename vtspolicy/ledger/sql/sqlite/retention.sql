-- What retention removes, in small steps.

-- name: prunable
SELECT id, jobs FROM requests WHERE finished IS NOT NULL AND finished < ?
  AND NOT EXISTS (
      SELECT 1 FROM notices WHERE notices.request = requests.id AND delivered IS NULL
  )
ORDER BY finished LIMIT ?

-- name: allow_pruning
INSERT INTO meta (key, value) VALUES ('pruning', '1')

-- name: end_pruning
DELETE FROM meta WHERE key = 'pruning'

-- name: uncount_jobs
UPDATE tallies SET n = n - (
    SELECT count(*) FROM jobs WHERE jobs.request = ? AND jobs.state = tallies.state
)

-- name: prune_attempts
DELETE FROM attempts WHERE job IN (SELECT id FROM jobs WHERE request = ?)

-- name: prune_jobs
DELETE FROM jobs WHERE request = ?

-- name: prune_notices
DELETE FROM notices WHERE request = ?

-- name: prune_transitions
DELETE FROM transitions WHERE request = ?

-- name: prune_request
DELETE FROM requests WHERE id = ?

-- name: prune_event
DELETE FROM events WHERE id = ?

-- name: prune_lines
DELETE FROM transitions WHERE id IN (
    SELECT id FROM transitions
    WHERE subject IS NOT NULL AND actor = 'engine' AND at < ? ORDER BY at LIMIT ?
)

-- name: forget_mounts_request
UPDATE mounts SET request = NULL WHERE request = ?
