-- Retention's: what the program itself did to tapes, mounts and locks, its cleanup among that.

DROP INDEX transitions_ours;
CREATE INDEX transitions_ours ON transitions (at)
    WHERE subject IS NOT NULL AND actor IN ('engine', 'cleanup');

-- Which jobs are run again, by whom: the only lines of a job that change no state.
CREATE INDEX transitions_again ON transitions (job) WHERE job IS NOT NULL AND before = after;
