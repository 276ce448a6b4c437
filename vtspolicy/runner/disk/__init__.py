"""The embedded disk archive: whole copies of virtual tapes, found by tape and by handle.

A store looks like this, so that a person can find a tape by looking:

    STORE/tapes/VAULT01/PAYROLL/A00017/42-1.zst     the tape's bytes, an ordinary zstd file
    STORE/tapes/VAULT01/PAYROLL/A00017/42-1.json    its manifest: without it, no copy
    STORE/handles/42-1                              a symbolic link to that manifest

The rooms: `layout` names files, `manifest` is the record of a copy, `pump` moves bytes, `files`
keeps files durable, `failure` holds what can go wrong; `archive`, `restore` and `catalogue` do the
work.
"""
