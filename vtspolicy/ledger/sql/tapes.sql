-- The catalogue of virtual tapes.

-- name: tape_columns
vault, pool, cartridge, path, size, written, migrated, handle, application, copied_size,
copied_written, erased, restored, retention, locked, override, by_us, verified, media, rewritten,
restoring, deleted, mounted, seen, held, kept, partial, override_at, override_seen, doubted, unseen,
override_job, partial_sure

-- name: tape
SELECT {tape_columns} FROM tapes WHERE path = :path

-- name: tapes
SELECT {tape_columns} FROM tapes WHERE path > :after

-- name: tapes_named
SELECT {tape_columns} FROM tapes WHERE cartridge = :cartridge ORDER BY path

-- name: tapes_locked
SELECT {tape_columns} FROM tapes WHERE locked = 1 ORDER BY path

-- name: save_tape
INSERT INTO tapes ({tape_columns}, state)
VALUES (:vault, :pool, :cartridge, :path, :size, :written, :migrated, :handle, :application,
        :copied_size, :copied_written, :erased, :restored, :retention, :locked, :override,
        :by_us, :verified, :media, :rewritten, :restoring, :deleted, :mounted, :seen, :held,
        :kept, :partial, :override_at, :override_seen, :doubted, :unseen, :override_job,
        :partial_sure, :state)
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
VALUES (:vault, :pool, :cartridge, :path, :size, :written, :seen, :state)
ON CONFLICT (path) DO NOTHING

-- name: copy_columns
id, vault, pool, cartridge, path, source, application, handle, began, ended, before, after, size,
files, digest, proof, proved, demanded, doubt, lost, by_us, retention, media, job, work,
call_values, touches

-- name: add_copy
INSERT INTO copies (
    vault, pool, cartridge, path, source, application, handle, began, ended, before, after, size,
    files, digest, proof, proved, demanded, doubt, lost, by_us, retention, media, job, work,
    call_values, touches
) VALUES (:vault, :pool, :cartridge, :path, :source, :application, :handle, :began, :ended,
        :before, :after, :size, :files, :digest, :proof, :proved, :demanded, :doubt, :lost,
        :by_us, :retention, :media, :job, :work, :call_values, :touches)
RETURNING id

-- name: copy
SELECT {copy_columns} FROM copies WHERE id = :id

-- The newest first; the one with the last known content too, however old it is.
-- name: copies_of
SELECT {copy_columns} FROM copies
WHERE path = :path AND (
    id = (SELECT held FROM tapes WHERE tapes.path = copies.path)
    OR id IN (SELECT id FROM copies WHERE path = :path ORDER BY id DESC LIMIT :most)
)
ORDER BY id DESC

-- name: all_copies
SELECT {copy_columns} FROM copies WHERE path > :after AND path <= :until ORDER BY path, id DESC

-- name: restored_of
SELECT at, fingerprint, sure FROM restored_files WHERE copy = :copy ORDER BY at

-- name: all_restored
SELECT copy, at, fingerprint, sure FROM restored_files
WHERE copy IN (SELECT id FROM copies WHERE path > :after AND path <= :until) ORDER BY at

-- name: add_restored
INSERT INTO restored_files (copy, at, fingerprint, sure) VALUES (:copy, :at, :fingerprint, :sure)

-- name: prove_copy
UPDATE copies SET proof = :proof, proved = :proved, digest = coalesce(:digest, digest) WHERE id = :id

-- name: lose_copy
UPDATE copies SET lost = :lost WHERE id = :id AND lost IS NULL

-- name: move_copies
UPDATE copies SET vault = :vault, pool = :pool, path = :path WHERE path = :was_path

-- name: copies_due
SELECT {copy_columns} FROM copies
WHERE id IN (SELECT held FROM tapes WHERE deleted IS NULL AND application = :application)
  AND lost IS NULL AND coalesce(proved, ended, began, 0) < :before
ORDER BY coalesce(proved, ended, began, 0) LIMIT :limit

-- name: unproven_tapes
SELECT count(*) AS count FROM tapes JOIN copies ON copies.id = tapes.held
WHERE tapes.state IN ('migrated', 'erased')
  AND (copies.proof = 'recorded' OR copies.doubt IS NOT NULL OR copies.lost IS NOT NULL)

-- name: unsee_tapes
UPDATE tapes SET unseen = 1

-- name: move_tape
UPDATE tapes SET vault = :vault, pool = :pool, path = :path WHERE path = :was_path

-- name: move_open_mounts
UPDATE mounts SET path = :path WHERE path = :was_path AND closed IS NULL

-- name: set_locked
UPDATE tapes SET locked = :locked WHERE path = :path

-- name: set_mounted
UPDATE tapes SET mounted = :mounted WHERE path = :path

-- name: tape_counts
SELECT coalesce(state, 'written') AS state, count(*) AS count, sum(coalesce(size, 0)) AS size,
       sum(CASE WHEN state IN ('erased', 'deleted') THEN coalesce(copied_size, 0) ELSE 0 END) AS freed
FROM tapes GROUP BY 1

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value
