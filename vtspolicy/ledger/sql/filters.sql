-- Conditions of lists. The value of each has the name of the condition.

-- name: jobs_of_host
jobs.host = :jobs_of_host

-- name: jobs_of_request
jobs.request = :jobs_of_request

-- name: jobs_of_family
requests.family = :jobs_of_family

-- name: jobs_of_ref
requests.ref = :jobs_of_ref

-- name: jobs_of_rule
jobs.rule = :jobs_of_rule

-- name: jobs_since
(jobs.finished IS NULL OR jobs.finished >= :jobs_since)

-- name: jobs_until
jobs.created < :jobs_until

-- These two, without a value, let a partial index be used.
-- name: jobs_live
jobs.finished IS NULL

-- name: jobs_bad
jobs.state IN ('failed', 'timedout', 'interrupted')

-- name: requests_of_host
requests.host = :requests_of_host

-- name: requests_of_family
requests.family = :requests_of_family

-- name: requests_of_ref
requests.ref = :requests_of_ref

-- name: requests_since
(requests.finished IS NULL OR requests.finished >= :requests_since)

-- name: requests_until
requests.received < :requests_until

-- name: tapes_of_vault
vault = :tapes_of_vault

-- name: tapes_of_pool
pool = :tapes_of_pool

-- name: tapes_of_handle
handle = :tapes_of_handle

-- name: lines_since
at >= :lines_since

-- name: lines_until
at < :lines_until
