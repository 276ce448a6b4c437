-- What retention removes, in small steps.

-- name: allow_pruning
INSERT INTO meta (key, value) VALUES ('pruning', '1')

-- name: end_pruning
DELETE FROM meta WHERE key = 'pruning'

-- name: uncount_jobs
UPDATE tallies SET n = n - (
    SELECT count(*) FROM jobs WHERE jobs.request = :request AND jobs.state = tallies.state
)

-- name: prune_attempts
DELETE FROM attempts WHERE job IN (SELECT id FROM jobs WHERE request = :request)

-- name: prune_jobs
DELETE FROM jobs WHERE request = :request

-- name: prune_notices
DELETE FROM notices WHERE request = :request

-- name: prune_transitions
DELETE FROM transitions WHERE request = :request

-- name: prune_request
DELETE FROM requests WHERE id = :id

-- name: prune_event
DELETE FROM events WHERE id = :id

-- name: forget_mounts_request
UPDATE mounts SET request = NULL WHERE request = :request

-- name: prune_rule_tables
DELETE FROM rule_tables WHERE last < (SELECT coalesce(min(id), 9223372036854775807) FROM requests)
