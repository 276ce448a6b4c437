-- Each start of a server begins an era: its jobs' handles bear a name of their own, so that a
-- ledger which was put back from a copy gives no handle again that was given after the copy.
CREATE TABLE eras (
    first INTEGER PRIMARY KEY,                   -- the first job number of the era
    name  TEXT NOT NULL                          -- eight hexadecimal digits
);
INSERT INTO eras (first, name) SELECT 0, value FROM meta WHERE key = 'uid';
