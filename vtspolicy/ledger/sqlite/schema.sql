-- The whole schema, as all migrations together make it. It is for reading: a test holds it against
-- them, and no ledger is made from it.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    received REAL NOT NULL,
    time TEXT NOT NULL,
    digest BLOB,
    system TEXT,
    process TEXT,
    ssid TEXT,
    number INTEGER,
    critical INTEGER NOT NULL,
    "user" TEXT,
    action_needed INTEGER NOT NULL,
    action_id TEXT,
    event_id TEXT,
    wire TEXT NOT NULL,
    text TEXT NOT NULL,
    actor TEXT NOT NULL,
    why TEXT
);

CREATE UNIQUE INDEX events_identity ON events (time, digest) WHERE digest IS NOT NULL;

CREATE TABLE requests (
    id INTEGER PRIMARY KEY REFERENCES events (id),
    host TEXT NOT NULL,
    received REAL NOT NULL,
    state TEXT NOT NULL,
    family TEXT,
    operation TEXT,
    ref TEXT,
    event_id TEXT,
    rule TEXT,
    "table" TEXT,
    reason TEXT,
    jobs INTEGER NOT NULL,
    live INTEGER NOT NULL,
    completed INTEGER NOT NULL DEFAULT 0,
    warning INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    timedout INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    finished REAL,
    again INTEGER
);

CREATE INDEX requests_live ON requests (id) WHERE finished IS NULL;

CREATE INDEX requests_finished ON requests (finished) WHERE finished IS NOT NULL;

CREATE INDEX requests_ref ON requests (ref, host) WHERE ref IS NOT NULL;

CREATE TABLE works (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL
);

CREATE TABLE jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    request INTEGER NOT NULL REFERENCES requests (id),
    host TEXT NOT NULL,
    work INTEGER NOT NULL REFERENCES works (id),
    "values" TEXT NOT NULL,
    rule TEXT NOT NULL,
    "lock" TEXT,
    priority INTEGER NOT NULL,
    notify INTEGER NOT NULL,
    state TEXT NOT NULL,
    tape TEXT,
    path TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    code INTEGER,
    reason TEXT,
    repeats INTEGER
);

CREATE INDEX jobs_live ON jobs (id) WHERE finished IS NULL;

CREATE INDEX jobs_request ON jobs (request);

CREATE INDEX jobs_bad ON jobs (id) WHERE state IN ('failed', 'timedout', 'interrupted');

CREATE INDEX jobs_repeats ON jobs (repeats) WHERE repeats IS NOT NULL;

CREATE TABLE attempts (
    job INTEGER NOT NULL REFERENCES jobs (id),
    number INTEGER NOT NULL,
    started REAL NOT NULL,
    finished REAL,
    kind TEXT,
    code INTEGER,
    signal INTEGER,
    state TEXT,
    reason TEXT,
    output TEXT,
    readings TEXT,
    before TEXT,
    boot TEXT,
    released REAL,
    plan TEXT,
    PRIMARY KEY (job, number)
) WITHOUT ROWID;

CREATE TABLE tallies (
    state TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    host TEXT NOT NULL,
    request INTEGER REFERENCES requests (id),
    word INTEGER NOT NULL,
    fields TEXT NOT NULL,
    created REAL NOT NULL,
    delivered REAL,
    expired INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX notices_pending ON notices (host, id, created) WHERE delivered IS NULL;

CREATE INDEX notices_request ON notices (request) WHERE request IS NOT NULL;

CREATE UNIQUE INDEX notices_final ON notices (request) WHERE word >= 1300 AND word < 1400;

CREATE TABLE transitions (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    request INTEGER,
    job INTEGER,
    subject TEXT,
    before TEXT,
    after TEXT NOT NULL,
    cause TEXT NOT NULL,
    actor TEXT NOT NULL
);

CREATE INDEX transitions_request ON transitions (request) WHERE request IS NOT NULL;

CREATE INDEX transitions_subject ON transitions (subject, id) WHERE subject IS NOT NULL;

CREATE TRIGGER transitions_are_not_changed BEFORE UPDATE ON transitions
BEGIN
    SELECT RAISE(ABORT, 'the history is only ever added to');
END;

CREATE TRIGGER transitions_are_not_removed BEFORE DELETE ON transitions
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE key = 'pruning')
BEGIN
    SELECT RAISE(ABORT, 'the history is only ever added to');
END;

CREATE INDEX transitions_ours ON transitions (at)
    WHERE subject IS NOT NULL AND actor IN ('engine', 'cleanup');

CREATE TABLE tapes (
    path TEXT PRIMARY KEY,
    vault TEXT NOT NULL,
    pool TEXT NOT NULL,
    cartridge TEXT NOT NULL,
    size INTEGER,
    written REAL,
    migrated REAL,
    handle TEXT,
    application TEXT,
    copied_size INTEGER,
    copied_written REAL,
    erased REAL,
    restored REAL,
    retention TEXT,
    locked INTEGER NOT NULL DEFAULT 0,
    override TEXT,
    by_us INTEGER NOT NULL DEFAULT 1,
    verified REAL,
    media TEXT,
    rewritten REAL,
    restoring REAL,
    deleted REAL,
    mounted REAL,
    override_size INTEGER,
    override_written REAL,
    copy_work INTEGER REFERENCES works (id),
    copy_values TEXT,
    seen TEXT,
    held INTEGER,
    kept TEXT,
    partial TEXT,
    partial_sure INTEGER NOT NULL DEFAULT 1,
    override_at REAL,
    override_seen TEXT,
    override_job INTEGER,
    doubted REAL,
    unseen INTEGER NOT NULL DEFAULT 0,
    state TEXT
) WITHOUT ROWID;

CREATE INDEX tapes_cartridge ON tapes (cartridge);

CREATE INDEX tapes_handle ON tapes (handle) WHERE handle IS NOT NULL;

CREATE INDEX tapes_locked ON tapes (path) WHERE locked = 1;

CREATE INDEX tapes_state ON tapes (state);

CREATE TABLE mounts (
    id INTEGER PRIMARY KEY REFERENCES events (id),
    host TEXT NOT NULL,
    seq TEXT NOT NULL,
    volume TEXT NOT NULL,
    path TEXT,
    request INTEGER REFERENCES requests (id),
    state TEXT NOT NULL,
    reason TEXT,
    opened REAL NOT NULL,
    closed REAL
);

CREATE INDEX mounts_open ON mounts (id) WHERE closed IS NULL;

CREATE INDEX mounts_closed ON mounts (closed) WHERE closed IS NOT NULL;

CREATE INDEX mounts_request ON mounts (request) WHERE request IS NOT NULL;

CREATE INDEX mounts_path ON mounts (path) WHERE closed IS NULL;

CREATE TABLE eras (
    first INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE copies (
    id INTEGER PRIMARY KEY,
    vault TEXT NOT NULL,
    pool TEXT NOT NULL,
    cartridge TEXT NOT NULL,
    path TEXT NOT NULL,
    source TEXT NOT NULL,
    application TEXT NOT NULL,
    handle TEXT NOT NULL,
    began REAL,
    ended REAL,
    before TEXT,
    after TEXT,
    size INTEGER,
    files INTEGER,
    digest TEXT,
    proof TEXT NOT NULL,
    proved REAL,
    demanded TEXT,
    doubt TEXT,
    lost REAL,
    by_us INTEGER NOT NULL DEFAULT 1,
    retention TEXT,
    media TEXT,
    job INTEGER,
    work INTEGER REFERENCES works (id),
    call_values TEXT,
    touches INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX copies_path ON copies (path, id);

CREATE TABLE restored_files (
    copy INTEGER NOT NULL REFERENCES copies (id),
    at REAL NOT NULL,
    fingerprint TEXT NOT NULL,
    sure INTEGER NOT NULL
);

CREATE INDEX restored_files_copy ON restored_files (copy);

CREATE TABLE rule_tables (
    hash TEXT PRIMARY KEY,
    rules TEXT NOT NULL,
    last INTEGER
) WITHOUT ROWID;
