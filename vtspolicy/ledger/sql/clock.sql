-- What the ledger says about the clock.

-- By number and not by time: times may be of a clock that was wrong.
-- name: newest_times
SELECT (SELECT received FROM events ORDER BY id DESC LIMIT 1) AS time
UNION ALL SELECT (SELECT at FROM transitions ORDER BY id DESC LIMIT 1)
UNION ALL SELECT (SELECT created FROM notices ORDER BY id DESC LIMIT 1)
