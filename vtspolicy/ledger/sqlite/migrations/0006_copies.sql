-- Evidence of copies: each copy of a tape is kept, with what the tape's file was at its begin and
-- end; and a tape's record says which of them has its last known content.

CREATE TABLE copies (
    id          INTEGER PRIMARY KEY,
    vault       TEXT NOT NULL,                   -- of the tape, where it is now: a move is followed
    pool        TEXT NOT NULL,
    cartridge   TEXT NOT NULL,
    path        TEXT NOT NULL,
    source      TEXT NOT NULL,                   -- the path of the file that was copied
    application TEXT NOT NULL,
    handle      TEXT NOT NULL,
    began       REAL,                            -- of the run, by the keeper
    ended       REAL,
    before      TEXT,                            -- JSON: the fingerprint as the run began
    after       TEXT,                            -- JSON: and as it ended
    size        INTEGER,                         -- bytes, as the application reported
    files       INTEGER,
    digest      TEXT,
    proof       TEXT NOT NULL,                   -- recorded, found or data
    proved      REAL,                            -- when that was seen
    demanded    TEXT,                            -- the proof that the copying rule asks for
    doubt       TEXT,                            -- why only its data can allow an erase
    lost        REAL,                            -- when the application said that it is not there
    by_us       INTEGER NOT NULL DEFAULT 1,
    retention   TEXT,
    media       TEXT,
    job         INTEGER,                         -- that made it
    work        INTEGER REFERENCES works (id),   -- with the queries that find it
    call_values TEXT,                            -- JSON: for the templates of that work
    touches     INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE restored_files (
    copy        INTEGER NOT NULL REFERENCES copies (id),
    at          REAL NOT NULL,
    fingerprint TEXT NOT NULL,                   -- JSON: of a file that was brought back from it
    sure        INTEGER NOT NULL
);
CREATE INDEX restored_files_copy ON restored_files (copy);

ALTER TABLE tapes ADD COLUMN seen TEXT;                    -- JSON: the file as last looked at
ALTER TABLE tapes ADD COLUMN held INTEGER;                 -- the copy that has the last known content
ALTER TABLE tapes ADD COLUMN kept TEXT;                    -- JSON: the file as it last had that
ALTER TABLE tapes ADD COLUMN partial TEXT;                 -- JSON: what a failed restore has left
ALTER TABLE tapes ADD COLUMN partial_sure INTEGER NOT NULL DEFAULT 1;  -- 0: a host may have written it
ALTER TABLE tapes ADD COLUMN override_at REAL;
ALTER TABLE tapes ADD COLUMN override_seen TEXT;           -- JSON: the file that the operator meant
ALTER TABLE tapes ADD COLUMN override_job INTEGER;         -- the order that it belongs to
ALTER TABLE tapes ADD COLUMN doubted REAL;                 -- the file contradicts a restored ledger
ALTER TABLE tapes ADD COLUMN unseen INTEGER NOT NULL DEFAULT 0;  -- not looked at since a restore
ALTER TABLE tapes ADD COLUMN state TEXT;                   -- where its data is

-- What version 0.1 knew of a copy: size and last write of the file, and by which run it was made.
-- JSON is written as the program does, its keys in order: equal fingerprints are equal texts. The
-- path of a copy of a whole pool is the pool's.
INSERT INTO copies (vault, pool, cartridge, path, source, application, handle, began, ended, after,
                    size, proof, proved, by_us, retention, media, job, work, call_values)
SELECT vault, pool, cartridge, path,
       CASE
           WHEN json_extract(given, '$.path') IS NULL THEN path
           WHEN json_extract(given, '$.cartridge') IS NULL
               THEN json_extract(given, '$.path') || '/' || cartridge
           ELSE json_extract(given, '$.path')
       END,
       application, handle,
       (SELECT started FROM attempts
         WHERE job = CAST(json_extract(given, '$.job') AS INTEGER)
           AND number = CAST(json_extract(given, '$.attempt') AS INTEGER)),
       migrated,
       CASE WHEN copied_size IS NOT NULL AND copied_written IS NOT NULL THEN
           json_object('mtime_ns', CAST(round(copied_written * 1e9) AS INTEGER),
                       'size', copied_size, 'vault', vault)
       END,
       copied_size,
       CASE WHEN verified IS NULL THEN 'recorded' ELSE 'found' END,
       verified, by_us, retention, media,
       CAST(json_extract(given, '$.job') AS INTEGER), copy_work, nullif(given, '{}')
FROM (
    SELECT *,
           CASE WHEN NOT json_valid(copy_values) THEN '{}'
                WHEN json_type(copy_values) = 'object' THEN copy_values
                ELSE '{}'
           END AS given
    FROM tapes
)
WHERE handle IS NOT NULL AND migrated IS NOT NULL AND application IS NOT NULL
ORDER BY path;
CREATE INDEX copies_path ON copies (path, id);

-- A restore that failed and left nothing has not begun. While a run may still be writing that is
-- not known; nor is what another one had left before it.
CREATE TEMP TABLE settled AS SELECT path FROM tapes
 WHERE restoring IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM jobs
     WHERE finished IS NULL AND state <> 'waiting'
       AND tape IN ('/' || vault || '/' || pool, '/' || vault || '/' || pool || '/' || cartridge)
);
UPDATE tapes SET restoring = NULL WHERE size = 0 AND path IN (SELECT path FROM settled);

UPDATE tapes SET
    held = (SELECT id FROM copies WHERE copies.path = tapes.path),
    kept = CASE WHEN handle IS NOT NULL AND migrated IS NOT NULL AND application IS NOT NULL
                     AND copied_size IS NOT NULL AND copied_written IS NOT NULL THEN
        json_object('mtime_ns', CAST(round(copied_written * 1e9) AS INTEGER),
                    'size', copied_size, 'vault', vault)
    END,
    seen = CASE WHEN size IS NOT NULL AND written IS NOT NULL THEN
        json_object('mtime_ns', CAST(round(written * 1e9) AS INTEGER),
                    'size', size, 'vault', vault)
    END,
    override_at = CASE WHEN override IS NOT NULL THEN (
        SELECT max(at) FROM transitions
         WHERE subject = 'tape /' || vault || '/' || pool || '/' || cartridge
           AND after = 'overridden'
    ) END,
    override_seen = CASE WHEN override_size IS NOT NULL AND override_written IS NOT NULL THEN
        json_object('mtime_ns', CAST(round(override_written * 1e9) AS INTEGER),
                    'size', override_size, 'vault', vault)
    END,
    state = CASE
        WHEN size IS NULL THEN 'deleted'
        WHEN handle IS NOT NULL AND (restoring IS NOT NULL OR (size = 0 AND rewritten IS NULL))
            THEN 'erased'
        WHEN size = 0 THEN 'scratch'
        WHEN migrated IS NOT NULL AND handle IS NOT NULL
             AND copied_size IS size AND copied_written IS written THEN 'migrated'
        ELSE 'written'
    END;
-- What a restore has left that failed: version 0.1 looked again at such a tape for an override only.
UPDATE tapes SET partial = seen
 WHERE size > 0 AND override IS NULL AND (rewritten IS NULL OR rewritten < restoring)
   AND path IN (SELECT path FROM settled);
DROP TABLE settled;
CREATE INDEX tapes_state ON tapes (state);

-- What was found out as an attempt began: the copy that it brings back, the values that it uses.
ALTER TABLE attempts ADD COLUMN plan TEXT;                 -- JSON
