-- What decided which rule matches, for each table that requests were decided by. So far each request
-- kept how every rule was looked at: 94 KB with a thousand rules.

CREATE TABLE rule_tables (
    hash TEXT PRIMARY KEY,    -- as in requests
    rules TEXT NOT NULL,      -- JSON: numbers, names and conditions
    last INTEGER              -- the newest event when another came into use; NULL while it is in use
) WITHOUT ROWID;
