-- Commands as they come in.

-- name: event_columns
host, received, time, digest, system, process, ssid, number, critical, "user", action_needed,
action_id, event_id, wire, text, actor, why

-- name: record_event
INSERT INTO events ({event_columns})
VALUES (:host, :received, :time, :digest, :system, :process, :ssid, :number, :critical, :user,
        :action_needed, :action_id, :event_id, :wire, :text, :actor, :why)
ON CONFLICT DO NOTHING
RETURNING id

-- name: record_events
INSERT INTO events (id, {event_columns})
VALUES (:id, :host, :received, :time, :digest, :system, :process, :ssid, :number, :critical,
        :user, :action_needed, :action_id, :event_id, :wire, :text, :actor, :why)
ON CONFLICT DO NOTHING

-- name: first_event
SELECT id FROM events WHERE time = :time AND digest = :digest

-- name: record_requests
INSERT INTO requests (id, host, received, state, family, operation, ref, event_id, rule, "table",
                      reason, jobs, live, finished, again)
VALUES (:id, :host, :received, :state, :family, :operation, :ref, :event_id, :rule, :table,
        :reason, :jobs, :live, :finished, :again)

-- name: record_work
INSERT INTO works (hash, body) VALUES (:hash, :body) ON CONFLICT DO NOTHING

-- name: work_id
SELECT id FROM works WHERE hash = :hash

-- name: work_body
SELECT body FROM works WHERE id = :id

-- name: record_jobs
INSERT INTO jobs (id, request, host, work, "values", rule, "lock", priority, notify, state, tape,
                  path, created, repeats)
VALUES (:id, :request, :host, :work, :values, :rule, :lock, :priority, :notify, :state, :tape,
        :path, :created, :repeats)

-- A live job of the same work: one by which the job is run again, or another repeat of what it repeats.
-- name: live_renewal
WITH RECURSIVE again (job) AS (
    SELECT :job
    UNION
    SELECT jobs.id FROM again CROSS JOIN jobs ON jobs.repeats = again.job
    UNION
    SELECT jobs.repeats FROM again CROSS JOIN jobs ON jobs.id = again.job AND jobs.repeats IS NOT NULL
)
SELECT jobs.id FROM again CROSS JOIN jobs ON jobs.id = again.job WHERE jobs.finished IS NULL LIMIT 1

-- A request of very many jobs is marked until it is accepted.
-- name: mark_unfinished
INSERT INTO meta (key, value) VALUES ('unfinished:' || :request, '')

-- name: end_unfinished
DELETE FROM meta WHERE key = 'unfinished:' || :request

-- name: unfinished
SELECT key FROM meta WHERE key = 'unfinished:' || :request

-- name: record_transition
INSERT INTO transitions (at, request, job, subject, before, after, cause, actor)
VALUES (:at, :request, :job, :subject, :before, :after, :cause, :actor)

-- name: replace_rule_tables
UPDATE rule_tables SET last = (SELECT coalesce(max(id), 0) FROM events)
WHERE last IS NULL AND hash <> :hash

-- name: keep_rule_table
INSERT INTO rule_tables (hash, rules) VALUES (:hash, :rules) ON CONFLICT (hash) DO UPDATE SET last = NULL
