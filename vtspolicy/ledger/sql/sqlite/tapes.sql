-- The catalogue of virtual tapes.

-- name: tape_columns
vault, pool, cartridge, path, size, written, migrated, handle, application, copied_size,
copied_written, erased, restored, retention, locked, override, override_size, override_written,
by_us, verified, media, rewritten, restoring, deleted, mounted

-- name: tape
SELECT {tape_columns} FROM tapes WHERE path = ?

-- name: tapes
SELECT {tape_columns} FROM tapes WHERE path > ?

-- name: tapes_named
SELECT {tape_columns} FROM tapes WHERE cartridge = ? ORDER BY path

-- name: tapes_locked
SELECT {tape_columns} FROM tapes WHERE locked = 1 ORDER BY path

-- name: save_tape
INSERT INTO tapes ({tape_columns})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
    vault = excluded.vault, pool = excluded.pool, cartridge = excluded.cartridge,
    size = excluded.size, written = excluded.written, migrated = excluded.migrated,
    handle = excluded.handle, application = excluded.application,
    copied_size = excluded.copied_size, copied_written = excluded.copied_written,
    erased = excluded.erased, restored = excluded.restored, retention = excluded.retention,
    locked = excluded.locked, override = excluded.override,
    override_size = excluded.override_size, override_written = excluded.override_written,
    by_us = excluded.by_us, verified = excluded.verified, media = excluded.media,
    rewritten = excluded.rewritten, restoring = excluded.restoring, deleted = excluded.deleted,
    mounted = excluded.mounted

-- name: add_tape
INSERT INTO tapes (vault, pool, cartridge, path, size, written) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO NOTHING

-- name: write_tape
UPDATE tapes SET size = ?, written = ?, rewritten = ?, deleted = ?
WHERE path = ? AND size IS ? AND written IS ? AND rewritten IS ? AND deleted IS ?
  AND migrated IS ? AND erased IS ? AND restored IS ? AND restoring IS ?

-- name: save_copy
UPDATE tapes SET copy_work = ?, copy_values = ? WHERE path = ?

-- name: copy
SELECT copy_work, copy_values FROM tapes WHERE path = ?

-- name: move_tape
UPDATE tapes SET vault = ?, pool = ?, path = ? WHERE path = ?

-- name: set_locked
UPDATE tapes SET locked = ? WHERE path = ?

-- name: set_mounted
UPDATE tapes SET mounted = ? WHERE path = ?

-- name: set_verified
UPDATE tapes SET verified = ? WHERE path = ? AND handle = ?

-- name: tape_counts
SELECT state, count(*), sum(coalesce(size, 0)),
       sum(CASE WHEN state IN ('erased', 'deleted') THEN coalesce(copied_size, 0) ELSE 0 END)
FROM (
    SELECT size, copied_size, CASE
        WHEN size IS NULL THEN 'deleted'
        WHEN handle IS NOT NULL AND (restoring IS NOT NULL OR (size = 0 AND rewritten IS NULL))
            THEN 'erased'
        WHEN size = 0 THEN 'scratch'
        WHEN migrated IS NOT NULL AND handle IS NOT NULL
             AND copied_size IS size AND copied_written IS written THEN 'migrated'
        ELSE 'written'
    END AS state
    FROM tapes
)
GROUP BY state

-- name: set_meta
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
