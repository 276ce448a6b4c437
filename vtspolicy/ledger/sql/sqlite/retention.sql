-- What retention removes, in small steps.

-- The oldest are looked at, and no more of them: an absent host may have hundreds of thousands.
-- name: prunable
SELECT id, jobs FROM (
    SELECT id, jobs, finished FROM requests WHERE finished IS NOT NULL AND finished < ?
    AND NOT EXISTS (
        SELECT 1 FROM json_each(?) AS spared
        WHERE finished BETWEEN json_extract(spared.value, '$[0]') AND json_extract(spared.value, '$[1]')
    )
    ORDER BY finished LIMIT ?
) AS oldest
WHERE NOT EXISTS (
    SELECT 1 FROM notices WHERE notices.request = oldest.id AND delivered IS NULL
)
LIMIT ?

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
    WHERE subject IS NOT NULL AND actor IN ('engine', 'cleanup') AND at < ?
    AND NOT EXISTS (
        SELECT 1 FROM json_each(?) AS spared
        WHERE at BETWEEN json_extract(spared.value, '$[0]') AND json_extract(spared.value, '$[1]')
    )
    ORDER BY at LIMIT ?
)

-- name: forget_mounts_request
UPDATE mounts SET request = NULL WHERE request = ?

-- name: prune_rule_tables
DELETE FROM rule_tables WHERE last < (SELECT coalesce(min(id), 9223372036854775807) FROM requests)
