-- Conditions of the lists of jobs and requests, with JSON and the functions of SQLite.

-- name: jobs_in_states
jobs.state IN (SELECT value FROM json_each(:jobs_in_states))

-- name: requests_in_states
requests.state IN (SELECT value FROM json_each(:requests_in_states))

-- name: jobs_of_application
jobs.work IN (SELECT id FROM works WHERE json_extract(body, '$.application') = :jobs_of_application)

-- A name with slashes counts from the vault on, a bare word anywhere in the name.
-- name: jobs_about_tape
instr('/' || trim(jobs.tape, '/') || '/', :jobs_about_tape) = 1

-- name: jobs_about_name
instr('/' || trim(jobs.tape, '/') || '/', :jobs_about_name) > 0

-- name: jobs_of_hosts
jobs.host IN (SELECT value FROM json_each(:jobs_of_hosts))

-- name: jobs_with_text
instr(
    lower(coalesce(jobs.tape, '') || ' ' || coalesce(requests.ref, '') || ' ' || coalesce(jobs.reason, '')),
    :jobs_with_text
) > 0

-- name: requests_of_hosts
requests.host IN (SELECT value FROM json_each(:requests_of_hosts))

-- name: requests_with_text
instr(lower(events.text || ' ' || coalesce(requests.reason, '')), :requests_with_text) > 0

-- name: lines_of_actor
instr(lower(actor), :lines_of_actor) > 0

-- name: lines_about
instr(
    lower(coalesce(subject, iif(job IS NULL, 'request ' || request, 'job ' || job))), :lines_about
) > 0

-- name: lines_not_of
actor NOT IN (SELECT value FROM json_each(:lines_not_of))
