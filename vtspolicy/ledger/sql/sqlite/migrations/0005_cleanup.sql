-- Retention's: what the program itself did to tapes, mounts and locks, its cleanup among that.

DROP INDEX transitions_ours;
CREATE INDEX transitions_ours ON transitions (at)
    WHERE subject IS NOT NULL AND actor IN ('engine', 'cleanup');
