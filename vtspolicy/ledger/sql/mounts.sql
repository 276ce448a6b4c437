-- Requests of hosts to mount a tape.

-- name: mount_columns
id, host, seq, volume, path, request, state, reason, opened, closed

-- name: record_mount
INSERT INTO mounts ({mount_columns}) VALUES (:id, :host, :seq, :volume, :path, :request, :state, :reason, :opened, :closed)

-- name: mount
SELECT {mount_columns} FROM mounts WHERE id = :id

-- name: open_mounts
SELECT {mount_columns} FROM mounts WHERE closed IS NULL ORDER BY id

-- name: open_mount
SELECT {mount_columns} FROM mounts WHERE closed IS NULL AND host = :host AND seq = :seq ORDER BY id

-- name: open_mounts_of
SELECT {mount_columns} FROM mounts WHERE closed IS NULL AND path = :path ORDER BY id

-- Requests and mounts have the numbers of their events, in the order in which they came.
-- name: mounted_since
SELECT id FROM mounts WHERE path = :path AND id > :request LIMIT 1

-- name: move_mount
UPDATE mounts SET state = :state, reason = :reason, request = coalesce(:request, request), closed = :closed
WHERE id = :id AND closed IS NULL

-- name: open_mount_counts
SELECT count(*) AS count, min(opened) AS oldest FROM mounts WHERE closed IS NULL
