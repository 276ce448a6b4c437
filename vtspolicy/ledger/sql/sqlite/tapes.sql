-- The catalogue of virtual tapes.

-- name: tape_columns
vault, pool, cartridge, path, size, written, migrated, handle, application, copied_size,
copied_written, erased, restored, retention, locked, override, by_us, verified, media, rewritten,
restoring, deleted, mounted, seen, held, kept, partial, override_at, override_seen, doubted, unseen,
override_job, partial_sure

-- name: tape
SELECT {tape_columns} FROM tapes WHERE path = ?

-- name: tapes
SELECT {tape_columns} FROM tapes WHERE path > ?

-- name: tapes_named
SELECT {tape_columns} FROM tapes WHERE cartridge = ? ORDER BY path

-- name: tapes_locked
SELECT {tape_columns} FROM tapes WHERE locked = 1 ORDER BY path

-- name: save_tape
INSERT INTO tapes ({tape_columns}, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
        ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
    vault = excluded.vault, pool = excluded.pool, cartridge = excluded.cartridge,
    size = excluded.size, written = excluded.written, migrated = excluded.migrated,
    handle = excluded.handle, application = excluded.application,
    copied_size = excluded.copied_size, copied_written = excluded.copied_written,
    erased = excluded.erased, restored = excluded.restored, retention = excluded.retention,
    locked = excluded.locked, override = excluded.override, by_us = excluded.by_us,
    verified = excluded.verified, media = excluded.media, rewritten = excluded.rewritten,
    restoring = excluded.restoring, deleted = excluded.deleted, mounted = excluded.mounted,
    seen = excluded.seen, held = excluded.held, kept = excluded.kept, partial = excluded.partial,
    override_at = excluded.override_at, override_seen = excluded.override_seen,
    doubted = excluded.doubted, unseen = excluded.unseen,
    override_job = excluded.override_job, partial_sure = excluded.partial_sure,
    state = excluded.state

-- name: add_tape
INSERT INTO tapes (vault, pool, cartridge, path, size, written, seen, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO NOTHING

-- name: write_tape
UPDATE tapes SET size = ?, written = ?, seen = ?, rewritten = ?, restoring = ?, partial = ?,
                 deleted = ?, doubted = ?, unseen = ?, state = ?
WHERE path = ? AND size IS ? AND written IS ? AND seen IS ? AND rewritten IS ? AND restoring IS ?
  AND partial IS ? AND deleted IS ? AND doubted IS ? AND unseen IS ?
  AND migrated IS ? AND erased IS ? AND restored IS ? AND held IS ?

-- name: copy_columns
id, vault, pool, cartridge, path, source, application, handle, began, ended, before, after, size,
files, digest, proof, proved, demanded, doubt, lost, by_us, retention, media, job, work,
call_values, touches

-- name: add_copy
INSERT INTO copies (
    vault, pool, cartridge, path, source, application, handle, began, ended, before, after, size,
    files, digest, proof, proved, demanded, doubt, lost, by_us, retention, media, job, work,
    call_values, touches
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING id

-- name: copy
SELECT {copy_columns} FROM copies WHERE id = ?

-- The newest first; the one with the last known content too, however old it is.
-- name: copies_of
SELECT {copy_columns} FROM copies
WHERE path = ? AND (
    id = (SELECT held FROM tapes WHERE tapes.path = copies.path)
    OR id IN (SELECT id FROM copies WHERE path = ? ORDER BY id DESC LIMIT ?)
)
ORDER BY id DESC

-- name: all_copies
SELECT {copy_columns} FROM copies WHERE path > ? AND path <= ? ORDER BY path, id DESC

-- name: restored_of
SELECT at, fingerprint, sure FROM restored_files WHERE copy = ? ORDER BY at

-- name: all_restored
SELECT copy, at, fingerprint, sure FROM restored_files
WHERE copy IN (SELECT id FROM copies WHERE path > ? AND path <= ?) ORDER BY at

-- name: add_restored
INSERT INTO restored_files (copy, at, fingerprint, sure) VALUES (?, ?, ?, ?)

-- name: prove_copy
UPDATE copies SET proof = ?, proved = ?, digest = coalesce(?, digest) WHERE id = ?

-- name: lose_copy
UPDATE copies SET lost = ? WHERE id = ? AND lost IS NULL

-- name: move_copies
UPDATE copies SET vault = ?, pool = ?, path = ? WHERE path = ?

-- name: copies_due
SELECT {copy_columns} FROM copies
WHERE id IN (SELECT held FROM tapes WHERE deleted IS NULL AND application = ?)
  AND lost IS NULL AND coalesce(proved, ended, began, 0) < ?
ORDER BY coalesce(proved, ended, began, 0) LIMIT ?

-- name: unproven_tapes
SELECT count(*) FROM tapes JOIN copies ON copies.id = tapes.held
WHERE tapes.state IN ('migrated', 'erased')
  AND (copies.proof = 'recorded' OR copies.doubt IS NOT NULL OR copies.lost IS NOT NULL)

-- name: unsee_tapes
UPDATE tapes SET unseen = 1

-- name: move_tape
UPDATE tapes SET vault = ?, pool = ?, path = ? WHERE path = ?

-- name: move_open_mounts
UPDATE mounts SET path = ? WHERE path = ? AND closed IS NULL

-- name: set_locked
UPDATE tapes SET locked = ? WHERE path = ?

-- name: set_mounted
UPDATE tapes SET mounted = ? WHERE path = ?

-- name: tape_counts
SELECT coalesce(state, 'written'), count(*), sum(coalesce(size, 0)),
       sum(CASE WHEN state IN ('erased', 'deleted') THEN coalesce(copied_size, 0) ELSE 0 END)
FROM tapes GROUP BY 1

-- name: set_meta
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
