-- The catalogue of virtual tapes.

-- name: tape_columns
vault, pool, cartridge, path, size, written, migrated, handle, application, copied_size,
copied_written, erased, restored, retention, locked, override

-- name: tape
SELECT {tape_columns} FROM tapes WHERE path = ?

-- name: tapes
SELECT {tape_columns} FROM tapes WHERE path > ?

-- name: tapes_named
SELECT {tape_columns} FROM tapes WHERE cartridge = ? ORDER BY path

-- name: save_tape
INSERT INTO tapes ({tape_columns})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
    vault = excluded.vault, pool = excluded.pool, cartridge = excluded.cartridge,
    size = excluded.size, written = excluded.written, migrated = excluded.migrated,
    handle = excluded.handle, application = excluded.application,
    copied_size = excluded.copied_size, copied_written = excluded.copied_written,
    erased = excluded.erased, restored = excluded.restored, retention = excluded.retention,
    locked = excluded.locked, override = excluded.override

-- name: save_file
INSERT INTO tapes (vault, pool, cartridge, path, size, written) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET size = excluded.size, written = excluded.written
WHERE size IS NOT excluded.size OR written IS NOT excluded.written

-- name: set_override
UPDATE tapes SET override = ? WHERE path = ?

-- name: set_locked
UPDATE tapes SET locked = ? WHERE path = ?
