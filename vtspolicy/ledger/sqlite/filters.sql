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
