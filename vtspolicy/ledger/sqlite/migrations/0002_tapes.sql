-- What the deletion gate, mounts and the catalogue have to know of a tape besides.

ALTER TABLE tapes ADD COLUMN by_us INTEGER NOT NULL DEFAULT 1;  -- 0: the application's own schedule
ALTER TABLE tapes ADD COLUMN verified REAL;                -- when a separate query last found the copy
ALTER TABLE tapes ADD COLUMN media TEXT;
ALTER TABLE tapes ADD COLUMN rewritten REAL;               -- when other data than the copy's was seen
ALTER TABLE tapes ADD COLUMN restoring REAL;               -- a restore began and has not ended well
ALTER TABLE tapes ADD COLUMN deleted REAL;                 -- when this program removed the file
ALTER TABLE tapes ADD COLUMN mounted REAL;                 -- when a host last asked for it
ALTER TABLE tapes ADD COLUMN override_size INTEGER;        -- what the operator's word is about
ALTER TABLE tapes ADD COLUMN override_written REAL;
ALTER TABLE tapes ADD COLUMN copy_work INTEGER REFERENCES works (id);  -- how the copy was made
ALTER TABLE tapes ADD COLUMN copy_values TEXT;             -- JSON: the values of the job that made it

CREATE INDEX tapes_locked ON tapes (path) WHERE locked = 1;
-- Retention's: what the program itself did to tapes, mounts and locks; operators' lines stay.
CREATE INDEX transitions_ours ON transitions (at) WHERE subject IS NOT NULL AND actor = 'engine';
CREATE INDEX mounts_path ON mounts (path) WHERE closed IS NULL;
