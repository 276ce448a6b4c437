-- Which job is run again by which, and which request began that: so far only lines of the history
-- told it. A request that repeats another does not answer under the host's reference.

ALTER TABLE jobs ADD COLUMN repeats INTEGER;               -- the job that it runs again
ALTER TABLE requests ADD COLUMN again INTEGER;             -- the first request of that work
CREATE INDEX jobs_repeats ON jobs (repeats) WHERE repeats IS NOT NULL;

UPDATE jobs SET repeats = old.job FROM (
    SELECT job, CAST(substr(cause, length('job ' || job || ' is run again as job ') + 1) AS INTEGER)
               AS next
    FROM transitions
    WHERE job IS NOT NULL AND before = after
      AND cause GLOB 'job ' || job || ' is run again as job [0-9]*'
) AS old WHERE jobs.id = old.next;
UPDATE requests SET again = (
    WITH RECURSIVE chain (job) AS (
        SELECT repeats FROM jobs WHERE jobs.request = requests.id AND repeats IS NOT NULL
        UNION
        SELECT repeats FROM jobs JOIN chain ON jobs.id = chain.job WHERE repeats IS NOT NULL
    )
    SELECT min(jobs.request) FROM chain JOIN jobs ON jobs.id = chain.job
) WHERE id IN (SELECT request FROM jobs WHERE repeats IS NOT NULL);
UPDATE requests SET ref = NULL, event_id = NULL WHERE again IS NOT NULL;

DROP INDEX transitions_again;
