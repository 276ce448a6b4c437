-- The first schema. Times are seconds since the epoch. Finished rows are touched by no index that
-- start and scheduling use: every index over live rows is partial.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Events that hold commands or mounts, and an operator's commands: what never changes of them, the
-- cold half of requests and mounts, which have the same number. (time, digest) is the identity: the
-- digest holds the time already, but events come in the order of time, and so the index grows at
-- its end only. AUTOINCREMENT: a number that retention removed is never given again.
CREATE TABLE events (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    host          TEXT NOT NULL,
    received      REAL NOT NULL,
    time          TEXT NOT NULL,           -- generation time as displayed, ISO; '' for a plain command
    digest        BLOB,                    -- NULL: no identity
    system        TEXT,
    process       TEXT,
    ssid          TEXT,
    number        INTEGER,
    critical      INTEGER NOT NULL,
    "user"        TEXT,
    action_needed INTEGER NOT NULL,
    action_id     TEXT,
    event_id      TEXT,
    wire          TEXT NOT NULL,
    text          TEXT NOT NULL,
    actor         TEXT NOT NULL,           -- for the history: "host NSK1", "operator alice"
    why           TEXT                     -- JSON: how the command was decided
);
CREATE UNIQUE INDEX events_identity ON events (time, digest) WHERE digest IS NOT NULL;

CREATE TABLE requests (
    id          INTEGER PRIMARY KEY REFERENCES events (id),
    host        TEXT NOT NULL,
    received    REAL NOT NULL,
    state       TEXT NOT NULL,
    family      TEXT,
    operation   TEXT,
    ref         TEXT,
    event_id    TEXT,
    rule        TEXT,
    "table"     TEXT,
    reason      TEXT,
    jobs        INTEGER NOT NULL,
    live        INTEGER NOT NULL,
    completed   INTEGER NOT NULL DEFAULT 0,
    warning     INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    cancelled   INTEGER NOT NULL DEFAULT 0,
    timedout    INTEGER NOT NULL DEFAULT 0,
    interrupted INTEGER NOT NULL DEFAULT 0,
    finished    REAL
);
CREATE INDEX requests_live ON requests (id) WHERE finished IS NULL;
CREATE INDEX requests_finished ON requests (finished) WHERE finished IS NOT NULL;
CREATE INDEX requests_ref ON requests (ref, host) WHERE ref IS NOT NULL;

-- What to do, stored once for all the jobs that do it.
CREATE TABLE works (
    id   INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL                           -- JSON of vtspolicy.rules.work.Work
);

CREATE TABLE jobs (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    request  INTEGER NOT NULL REFERENCES requests (id),
    host     TEXT NOT NULL,
    work     INTEGER NOT NULL REFERENCES works (id),
    "values" TEXT NOT NULL,                      -- JSON
    rule     TEXT NOT NULL,
    "lock"   TEXT,
    priority INTEGER NOT NULL,
    notify   INTEGER NOT NULL,                   -- 1: its host wants to hear of progress
    state    TEXT NOT NULL,
    tape     TEXT,
    path     TEXT,
    attempt  INTEGER NOT NULL DEFAULT 0,
    due      REAL NOT NULL DEFAULT 0,
    created  REAL NOT NULL,
    started  REAL,
    finished REAL,
    code     INTEGER,
    reason   TEXT
);
CREATE INDEX jobs_live ON jobs (id) WHERE finished IS NULL;
CREATE INDEX jobs_request ON jobs (request);
CREATE INDEX jobs_bad ON jobs (id) WHERE state IN ('failed', 'timedout', 'interrupted');

CREATE TABLE attempts (
    job      INTEGER NOT NULL REFERENCES jobs (id),
    number   INTEGER NOT NULL,
    started  REAL NOT NULL,
    finished REAL,
    kind     TEXT,
    code     INTEGER,
    signal   INTEGER,
    state    TEXT,
    reason   TEXT,
    output   TEXT,
    readings TEXT,                               -- JSON
    before   TEXT,                               -- JSON: [path, size, written] of each tape at the start
    PRIMARY KEY (job, number)
) WITHOUT ROWID;

-- How many finished jobs of each state the ledger holds, so that nobody counts a million rows.
CREATE TABLE tallies (
    state TEXT PRIMARY KEY,
    n     INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO tallies (state, n) VALUES
    ('completed', 0), ('warning', 0), ('failed', 0),
    ('cancelled', 0), ('timedout', 0), ('interrupted', 0);

-- The outbox. AUTOINCREMENT: sessions acknowledge by number.
CREATE TABLE notices (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    host      TEXT NOT NULL,
    request   INTEGER REFERENCES requests (id),
    word      INTEGER NOT NULL,
    fields    TEXT NOT NULL,                     -- JSON
    created   REAL NOT NULL,
    delivered REAL,                              -- when it left the outbox
    expired   INTEGER NOT NULL DEFAULT 0         -- 1: it left by age, not by delivery
);
CREATE INDEX notices_pending ON notices (host, id, created) WHERE delivered IS NULL;
CREATE INDEX notices_request ON notices (request) WHERE request IS NOT NULL;
-- Promise 3, kept by the database itself: one final notice for a request.
CREATE UNIQUE INDEX notices_final ON notices (request) WHERE word >= 1300 AND word < 1400;

-- The history: only ever added to. Rows of requests and jobs name them by number. How those began,
-- and how a request ended, stands in their own rows and is not written twice.
CREATE TABLE transitions (
    id      INTEGER PRIMARY KEY,
    at      REAL NOT NULL,
    request INTEGER,                             -- of a request, or of a job's request
    job     INTEGER,
    subject TEXT,                                -- of everything else: tape, lock, table
    before  TEXT,
    after   TEXT NOT NULL,
    cause   TEXT NOT NULL,
    actor   TEXT NOT NULL
);
CREATE INDEX transitions_request ON transitions (request) WHERE request IS NOT NULL;
CREATE INDEX transitions_subject ON transitions (subject, id) WHERE subject IS NOT NULL;
CREATE TRIGGER transitions_are_not_changed BEFORE UPDATE ON transitions
BEGIN
    SELECT RAISE(ABORT, 'the history is only ever added to');
END;
-- Retention says so in meta, inside its own transaction, before it removes anything.
CREATE TRIGGER transitions_are_not_removed BEFORE DELETE ON transitions
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE key = 'pruning')
BEGIN
    SELECT RAISE(ABORT, 'the history is only ever added to');
END;

CREATE TABLE tapes (
    path           TEXT PRIMARY KEY,             -- of the real file
    vault          TEXT NOT NULL,
    pool           TEXT NOT NULL,
    cartridge      TEXT NOT NULL,
    size           INTEGER,
    written        REAL,
    migrated       REAL,
    handle         TEXT,
    application    TEXT,
    copied_size    INTEGER,
    copied_written REAL,
    erased         REAL,
    restored       REAL,
    retention      TEXT,
    locked         INTEGER NOT NULL DEFAULT 0,
    override       TEXT
) WITHOUT ROWID;
CREATE INDEX tapes_cartridge ON tapes (cartridge);
CREATE INDEX tapes_handle ON tapes (handle) WHERE handle IS NOT NULL;

CREATE TABLE mounts (
    id      INTEGER PRIMARY KEY REFERENCES events (id),
    host    TEXT NOT NULL,
    seq     TEXT NOT NULL,                       -- four digits: the host's number of the request
    volume  TEXT NOT NULL,
    path    TEXT,                                -- of the tape's file; NULL for one not known
    request INTEGER REFERENCES requests (id),    -- that brings the tape back
    state   TEXT NOT NULL,
    reason  TEXT,
    opened  REAL NOT NULL,
    closed  REAL
);
CREATE INDEX mounts_open ON mounts (id) WHERE closed IS NULL;
CREATE INDEX mounts_closed ON mounts (closed) WHERE closed IS NOT NULL;
CREATE INDEX mounts_request ON mounts (request) WHERE request IS NOT NULL;

INSERT INTO meta (key, value) VALUES
    ('uid', lower(hex(randomblob(4)))),          -- part of every handle: a new ledger repeats none
    ('batch', '');                               -- the last transaction of the writer
