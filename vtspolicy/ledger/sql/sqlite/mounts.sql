-- Requests of hosts to mount a tape.

-- name: mount_columns
id, host, seq, volume, path, request, state, reason, opened, closed

-- name: record_mount
INSERT INTO mounts ({mount_columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: mount
SELECT {mount_columns} FROM mounts WHERE id = ?

-- name: open_mounts
SELECT {mount_columns} FROM mounts WHERE closed IS NULL ORDER BY id

-- name: open_mount
SELECT {mount_columns} FROM mounts WHERE closed IS NULL AND host = ? AND seq = ? ORDER BY id

-- name: open_mounts_of
SELECT {mount_columns} FROM mounts WHERE closed IS NULL AND path = ? ORDER BY id

-- Requests and mounts have the numbers of their events, in the order in which they came.
-- name: mounted_since
SELECT id FROM mounts WHERE path = ? AND id > ? LIMIT 1

-- name: move_mount
UPDATE mounts SET state = ?, reason = ?, request = coalesce(?, request), closed = ?
WHERE id = ? AND closed IS NULL

-- name: open_mount_counts
SELECT count(*), min(opened) FROM mounts WHERE closed IS NULL

-- name: prune_mounts
DELETE FROM mounts WHERE id IN (
    SELECT id FROM mounts WHERE closed IS NOT NULL AND closed < ?
    AND NOT EXISTS (
        SELECT 1 FROM json_each(?) AS spared
        WHERE closed BETWEEN json_extract(spared.value, '$[0]') AND json_extract(spared.value, '$[1]')
    )
    ORDER BY closed LIMIT ?
)
RETURNING id
