-- What the next server has to know of an attempt that was under way.

ALTER TABLE attempts ADD COLUMN boot TEXT;        -- the start of the machine in which it began
ALTER TABLE attempts ADD COLUMN released REAL;    -- when an operator took its lock
