-- What is old, but for some spans of time: those are JSON.

-- The oldest are looked at, and no more of them: an absent host may have hundreds of thousands.
-- name: prunable
SELECT id, jobs FROM (
    SELECT id, jobs, finished FROM requests WHERE finished IS NOT NULL AND finished < :before
    AND NOT EXISTS (
        SELECT 1 FROM json_each(:spared) AS spared
        WHERE finished BETWEEN json_extract(spared.value, '$[0]') AND json_extract(spared.value, '$[1]')
    )
    ORDER BY finished LIMIT :looked_at
) AS oldest
WHERE NOT EXISTS (
    SELECT 1 FROM notices WHERE notices.request = oldest.id AND delivered IS NULL
)
LIMIT :limit

-- name: prune_lines
DELETE FROM transitions WHERE id IN (
    SELECT id FROM transitions
    WHERE subject IS NOT NULL AND actor IN ('engine', 'cleanup') AND at < :before
    AND NOT EXISTS (
        SELECT 1 FROM json_each(:spared) AS spared
        WHERE at BETWEEN json_extract(spared.value, '$[0]') AND json_extract(spared.value, '$[1]')
    )
    ORDER BY at LIMIT :limit
)

-- name: prune_mounts
DELETE FROM mounts WHERE id IN (
    SELECT id FROM mounts WHERE closed IS NOT NULL AND closed < :before
    AND NOT EXISTS (
        SELECT 1 FROM json_each(:spared) AS spared
        WHERE closed BETWEEN json_extract(spared.value, '$[0]') AND json_extract(spared.value, '$[1]')
    )
    ORDER BY closed LIMIT :limit
)
RETURNING id

-- name: expire_notices
UPDATE notices SET delivered = :at, expired = 1
WHERE id IN (
    SELECT id FROM notices WHERE delivered IS NULL AND created < :before
    AND NOT EXISTS (
        SELECT 1 FROM json_each(:spared) AS spared
        WHERE created BETWEEN json_extract(spared.value, '$[0]') AND json_extract(spared.value, '$[1]')
    )
    LIMIT :limit
)
