"""Putting what a restore brought back in the tape's place, and undoing that after a crash.

Exchange is the way of choice: the names of the restored and of the judged file are exchanged in one
step, so that the tape is whole at every moment. Where that is not possible, the bytes are copied
into the judged file, which must be empty.
"""

import os
import time
from contextlib import ExitStack, suppress
from enum import Enum

from attrs import frozen

from vtspolicy.tapes import Fingerprint
from vtspolicy.vaults import notes
from vtspolicy.vaults.acts import GRACE, give_name, keep, only_renamed, put_back, undo_delete
from vtspolicy.vaults.bringing import remove_brought
from vtspolicy.vaults.errors import (
    CannotExchangeError,
    ChangedError,
    InUseError,
    NoLeaseError,
    VaultError,
)
from vtspolicy.vaults.files import (
    UNSUPPORTED,
    Lease,
    OpenPool,
    claimed,
    is_judged,
    is_moved,
    opened,
    require_judged,
)
from vtspolicy.vaults.likeness import make_alike, make_usual
from vtspolicy.vaults.private import COPYING, EXCHANGE, KEPT, RESTORE

CHUNK = 1 << 20
"""Bytes that are copied at once."""

PAGE = 4096
"""Bytes of which a write that was cut short by a crash is a multiple."""


class Whose(Enum):
    """Whose it is what a copying that did not end has left on a tape."""

    NOBODYS = "nobody's"  # nothing is left
    OURS = "ours"  # the beginning of what came back, and it could not be removed
    HOSTS = "a host's"  # something else, or another file
    UNKNOWN = "not known"  # a beginning of what came back, which either may have written


@frozen(kw_only=True)
class Half:
    """What a copying that did not end has left on a tape."""

    whose: Whose
    file: Fingerprint | None = None  # the tape, where it is ours


def exchange(pool: OpenPool, judged: Fingerprint | None, token: str) -> Fingerprint:
    """Put the restored file in the place of the judged one; return what the tape is then.

    With None as `judged` no file stands there, and the restored one gets the name only if it is
    still free. Otherwise both files are held under write leases, the judged one is compared, and
    after the exchange compared again: if it was written, opened, or another file had got the
    tape's name, the names are exchanged back and the act fails. The old file is removed last.
    """
    try:
        with opened(pool, pool.private(token, RESTORE), os.O_RDONLY) as new:
            if judged is None:
                return _put_where_none_is(pool, new, token)
            return _put_in_place(pool, new, judged, token)
    except FileNotFoundError as error:
        raise ChangedError(f"{pool.tape.name} or its restored file is gone") from error


def _put_where_none_is(pool: OpenPool, new: int, token: str) -> Fingerprint:
    target = pool.private(token, RESTORE)
    with claimed(pool, new, target) as lease:
        make_usual(pool, new)
        pool.system.sync(new)
        lease.require()
        try:
            give_name(pool, target)
        except FileExistsError as error:
            raise ChangedError(f"{pool.tape.name} is there again") from error
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            raise CannotExchangeError(f"{pool.tape.name} cannot be given its file") from error
        pool.sync()
        return _taken(pool, new, lease)


def _taken(pool: OpenPool, new: int, lease: Lease) -> Fingerprint:
    """Return what the file is that has the tape's name now, taken under its lease.

    The lease is held until a write gets other times than the file has: two ticks of the vault.
    """
    pool.let_pass_ticks()
    facts = pool.system.facts(new)
    if lease.may_have_been_broken:
        raise VaultError(
            f"{pool.tape.name} came back, but that took so long that another process may have"
            " written to it meanwhile"
        )
    return pool.fingerprint(facts)


def _put_in_place(pool: OpenPool, new: int, judged: Fingerprint, token: str) -> Fingerprint:
    if not pool.features.exchange:
        raise CannotExchangeError(f"the vault of {pool.tape.name} cannot exchange two names")
    target, note = pool.private(token, RESTORE), pool.private(token, EXCHANGE)
    with ExitStack() as held:
        old = held.enter_context(opened(pool, pool.name, os.O_RDONLY))
        old_lease = held.enter_context(claimed(pool, old, pool.name))
        require_judged(pool, old, judged)
        make_alike(pool, old, new)
        new_lease = held.enter_context(claimed(pool, new, target))
        pool.system.sync(new)
        now = pool.fingerprint(pool.system.facts(new))
        notes.write(pool, note, notes.Note(new=now, judged=judged))
        require_judged(pool, old, judged)
        try:
            old_lease.require()
            pool.system.exchange(target, pool.name, pool.folder)
        except (VaultError, OSError) as error:
            notes.remove(pool, note)
            if isinstance(error, OSError) and error.errno in UNSUPPORTED:
                message = f"the vault of {pool.tape.name} cannot exchange two names"
                raise CannotExchangeError(message) from error
            raise
        try:
            _require_exchanged(pool, old, old_lease, judged, target)
        except (VaultError, OSError) as error:
            _exchange_back(pool, new, new_lease, token)
            notes.remove(pool, note)
            pool.sync()
            if isinstance(error, VaultError):
                error.renamed = only_renamed(pool, old, old_lease, judged)
            raise
        pool.sync()
        after = _taken(pool, new, new_lease)
        pool.system.unlink(target, pool.folder)
        notes.remove(pool, note)
        pool.sync()
        return after


def _require_exchanged(
    pool: OpenPool, old: int, lease: Lease, judged: Fingerprint, target: str
) -> None:
    """Make sure that it was the judged file which has the private name now."""
    facts = pool.system.facts(old)
    if not pool.means(target, facts) or facts.st_nlink != 1:
        raise ChangedError(f"{pool.tape.name} became another file: nothing was put in its place")
    if not is_moved(judged, pool.fingerprint(facts), pool.features):
        raise ChangedError(f"{pool.tape.name} was written just now: nothing was put in its place")
    if lease.is_real:
        time.sleep(GRACE)
    lease.require()


def _exchange_back(pool: OpenPool, new: int, lease: Lease, token: str) -> None:
    """Give the tape's name back to the file that had it, and the restored one its private name.

    Another process may have opened or replaced the restored file under the tape's name meanwhile.
    A file that may be a host's is kept, and named by the error.
    """
    target = pool.private(token, RESTORE)
    restored = pool.system.facts(new)
    if not pool.means(pool.name, restored):
        # Yet another file has got the name. It is the newest; what we took out of its place stays.
        raise VaultError(
            f"{pool.tape.name} became another file twice while it was restored; the file between"
            f" them is {keep(pool, target, token)}"
        )
    pool.system.exchange(target, pool.name, pool.folder)
    if pool.means(target, restored):
        if lease.is_held:
            return
        # A process waits for the file that we have just taken back: what it will write is its own.
        raise VaultError(
            f"{pool.tape.name} was opened by two processes while it was restored; the file of one"
            f" of them is {keep(pool, target, token)}"
        )
    # Yet another file got the name just before. It is the newest: it gets it again.
    pool.system.exchange(target, pool.name, pool.folder)
    raise VaultError(
        f"{pool.tape.name} became another file while it was restored; what had its name before is"
        f" {keep(pool, target, token)}"
    )


def begin_copying(pool: OpenPool, judged: Fingerprint, token: str) -> None:
    """Leave the note by which a copying that does not end is undone: see `copy_into`."""
    try:
        with opened(pool, pool.private(token, RESTORE), os.O_RDONLY) as new:
            restored = pool.fingerprint(pool.system.facts(new))
    except FileNotFoundError as error:
        raise ChangedError(f"the restored file of {pool.tape.name} is gone") from error
    note = notes.Note(new=restored, judged=judged)
    notes.write(pool, pool.private(token, COPYING), note)


def copy_into(pool: OpenPool, judged: Fingerprint, token: str) -> Fingerprint:
    """Write the bytes of the restored file into the judged one, which is empty; return what it is.

    The note of `begin_copying` is there, and stays with the restored file until it is recorded that
    the tape is whole; then `discard` removes both.

    A process may have the file open. Our bytes are always added at its end, so that none of a
    host's is overwritten; a size that is not ours ends the copying, and at the end the whole
    content is compared with the restored file. What a host writes into the part that is there
    already is seen by that, but not a write of the same bytes, nor one after the comparison. The
    tape may be half restored when this raises ChangedError.
    """
    target, flags = pool.private(token, RESTORE), os.O_RDWR | os.O_APPEND
    try:
        with (
            opened(pool, target, os.O_RDONLY) as new,
            opened(pool, pool.name, flags) as file,
            ExitStack() as held,
        ):
            with suppress(InUseError, NoLeaseError):
                held.enter_context(claimed(pool, file, pool.name))
            if require_judged(pool, file, judged).size:
                raise ChangedError(f"{pool.tape.name} is not empty: nothing is copied into it")
            return _copied(pool, new, file)
    except FileNotFoundError as error:
        raise ChangedError(f"{pool.tape.name} or its restored file is gone") from error


def _copied(pool: OpenPool, new: int, file: int) -> Fingerprint:
    system, done = pool.system, 0
    try:
        while data := system.read(new, CHUNK):
            rest = memoryview(data)
            while rest:
                if system.facts(file).st_size != done:
                    raise ChangedError(f"{pool.tape.name} was written while it was restored")
                count = system.write(file, rest)
                rest, done = rest[count:], done + count
    except OSError:  # the disk is full: what was written may end within a page
        if system.facts(file).st_size == done and is_beginning(file, new):
            system.truncate(file)
        raise
    system.sync(file)
    pool.let_pass_ticks()  # what is written from now on gets other times
    facts = system.facts(file)
    whole = is_beginning(file, new) and system.facts(file).st_size == done
    again = pool.fingerprint(system.facts(file))
    if not whole or not is_judged(pool.fingerprint(facts), again, pool.features):
        raise ChangedError(f"{pool.tape.name} was written while it was restored")
    if not pool.means(pool.name, facts):
        raise ChangedError(f"{pool.tape.name} became another file while it was restored")
    return pool.fingerprint(facts)


def is_beginning(file: int, whole: int) -> bool:
    """Return whether all that an open file has is what the other one begins with."""
    at = 0
    while data := os.pread(file, CHUNK, at):
        if os.pread(whole, len(data), at) != data:
            return False
        at += len(data)
    return True


def is_same(pool: OpenPool, judged: Fingerprint, token: str) -> bool:
    """Return whether the judged file has what was brought back. Raises ChangedError.

    A beginning of it is not enough: a host may have shortened the tape.
    """
    try:
        with (
            opened(pool, pool.private(token, RESTORE), os.O_RDONLY) as new,
            opened(pool, pool.name, os.O_RDONLY) as file,
        ):
            size = require_judged(pool, file, judged).size
            same = size == pool.system.facts(new).st_size and is_beginning(file, new)
            require_judged(pool, file, judged)
            return same
    except FileNotFoundError as error:
        raise ChangedError(f"{pool.tape.name} or its restored file is gone") from error


def recover(pool: OpenPool, token: str) -> None:
    """Complete or undo what a crash has left of the acts of one attempt.

    Not for an attempt whose application still runs: its private file would be removed. A delete is
    undone; an exchange that had been done is completed, and one that had not is undone; what was
    copied into an empty tape is removed again, unless a host has written to it or the copy was
    whole. A restored file that was not put in place is removed. A file that may hold a host's data
    gets the tape's name again, if no other file has got it since. Raises VaultError naming a file
    that is kept because another one had the name.
    """
    _recover_copying(pool, token)
    discard(pool, token)
    undo_delete(pool, token)
    kept = pool.private(token, KEPT)
    if pool.has(kept):
        raise VaultError(
            f"{pool.shown(kept)} may have data of {pool.tape.name} that was written before what"
            " has its name now, or had it last; nothing is done with it"
        )


def _recover_exchange(pool: OpenPool, token: str) -> None:
    name, target = pool.private(token, EXCHANGE), pool.private(token, RESTORE)
    note = notes.read(pool, name)
    facts = pool.facts(target)
    if note is not None and note.judged is not None and facts is not None:
        found = pool.fingerprint(facts)
        is_old = found.inode == note.judged.inode and is_moved(note.judged, found, pool.features)
        if not is_old and found.inode != note.new.inode:
            _take_aside(pool, token, note)
    notes.remove(pool, name)


def _take_aside(pool: OpenPool, token: str, note: notes.Note) -> None:
    """Keep a file of a host which an exchange took for the judged one.

    It gets the tape's name back if that is free, or has the restored file and nothing was written
    to that.
    """
    target = pool.private(token, RESTORE)
    at_name = pool.facts(pool.name)
    if at_name is None:
        put_back(pool, target, token)
        return
    if at_name.st_ino == note.new.inode and is_moved(
        note.new, pool.fingerprint(at_name), pool.features
    ):
        pool.system.exchange(target, pool.name, pool.folder)
        return
    keep(pool, target, token)


def discard(pool: OpenPool, token: str) -> None:
    """Remove the private file and folder of a restore, if they are there.

    A file of a host, which an exchange that did not end has left there, is kept.
    """
    _recover_exchange(pool, token)
    notes.remove(pool, pool.private(token, COPYING))
    remove_brought(pool, token)


def undo_copying(pool: OpenPool, token: str) -> Half | None:
    """Remove what a copying that did not end has left on the tape, unless a host has written to it.

    A copying that had come to its end is removed as well: it is done anew. Returns None where none
    was begun: what is on the tape was there before.
    """
    name, target = pool.private(token, COPYING), pool.private(token, RESTORE)
    note = notes.read(pool, name)
    if note is None or note.judged is None or not pool.has(target):
        return None
    try:
        with (
            opened(pool, pool.name, os.O_RDWR) as file,
            opened(pool, target, os.O_RDONLY) as new,
        ):
            half = _whose(pool, file, new, note.judged, whole=True)
            if half.whose is Whose.OURS:
                with suppress(InUseError, NoLeaseError):
                    _empty_again(pool, file, new, note.judged, whole=True)
                    half = Half(whose=Whose.NOBODYS)
    except FileNotFoundError:
        return Half(whose=Whose.HOSTS)
    if half.whose is Whose.NOBODYS:
        notes.remove(pool, name)
        pool.sync()
    return half


def _recover_copying(pool: OpenPool, token: str) -> None:
    name, target = pool.private(token, COPYING), pool.private(token, RESTORE)
    note = notes.read(pool, name)
    if note is not None and note.judged is not None and pool.has(target):
        with (
            suppress(FileNotFoundError),
            opened(pool, pool.name, os.O_RDWR) as file,
            opened(pool, target, os.O_RDONLY) as new,
        ):
            _empty_again(pool, file, new, note.judged)
    notes.remove(pool, name)


def _empty_again(
    pool: OpenPool, file: int, new: int, judged: Fingerprint, *, whole: bool = False
) -> None:
    with claimed(pool, file, pool.name) as lease:
        if _whose(pool, file, new, judged, whole=whole).whose is Whose.OURS:
            lease.require()
            pool.system.truncate(file)
            pool.system.sync(file)


def _whose(pool: OpenPool, file: int, new: int, judged: Fingerprint, *, whole: bool) -> Half:
    """Return whose it is what stands in the file into which was copied.

    A write that was cut short ends with a page: a beginning that ends elsewhere was written by a
    host, or by us on a disk that was full. It cannot be told apart.
    """
    facts, size = pool.system.facts(file), pool.system.facts(new).st_size
    if facts.st_ino != judged.inode:
        return Half(whose=Whose.HOSTS)
    if not facts.st_size:
        return Half(whose=Whose.NOBODYS)
    half = facts.st_size < size
    if not (half or (whole and facts.st_size == size)) or not is_beginning(file, new):
        return Half(whose=Whose.HOSTS)
    if half and facts.st_size % PAGE:
        return Half(whose=Whose.UNKNOWN)
    return Half(whose=Whose.OURS, file=pool.fingerprint(facts))
