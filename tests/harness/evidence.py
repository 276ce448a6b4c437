"""Tapes, their files and their copies, as the tests of the model and of the ledger want them."""

from attrs import evolve

from vtspolicy import tapes
from vtspolicy.tapes import Copy, Fingerprint, Proof, Tape


def a_file(size=10, written=5.0, *, inode=7, changed=None, **more):
    """A file of a vault; its attributes were changed when it was written, unless `changed` says."""
    changed = written if changed is None else changed
    return Fingerprint(
        vault="id-of-VAULT01",
        size=size,
        mtime_ns=int(written * 1e9),
        inode=inode,
        ctime_ns=int(changed * 1e9),
        **more,
    )


def a_tape(file=None, *, pool="PAY", cartridge="A00017", **more):
    """A tape whose file is there as `file` has it; None: it is not there."""
    tape = Tape(
        vault="VAULT01",
        pool=pool,
        cartridge=cartridge,
        path=f"/v/{pool}/{cartridge}",
        size=None if file is None else file.size,
        written=None if file is None else file.written,
        seen=file,
    )
    return evolve(tape, **more)


def a_copy(tape, number=1, *, found=True, **more):
    """A copy of a tape as it is, which a query has found unless that is denied."""
    began = (tape.written or 0.0) + 5.0
    copy = Copy(
        id=number,
        vault=tape.vault,
        pool=tape.pool,
        cartridge=tape.cartridge,
        path=tape.path,
        source=tape.path,
        application="DSK",
        handle=f"H{number}",
        began=began,
        ended=began + 1.0,
        before=tape.seen,
        after=tape.seen,
        proof=Proof.FOUND if found else Proof.RECORDED,
        proved=began + 1.0 if found else None,
    )
    return evolve(copy, **more)


def migrated(tape, copy=None, *, at=None):
    """The record of a tape after its copy was made."""
    copy = a_copy(tape) if copy is None else copy
    return tapes.copied(tape, copy, at=copy.ended if at is None else at)


def erased(tape, *, at=200.0, proven=True):
    """The record of a tape that was emptied."""
    return tapes.emptied(tape, at=at, file=a_file(0, at), proven=proven)


def restored(tape, *, at=300.0, size=None, inode=7):
    """The record of a tape whose data is back, in a file that a restore wrote."""
    size = tape.copied_size if size is None else size
    return tapes.restored(tape, a_file(size, at, inode=inode), at=at)
