"""Emptying and removing a tape: each act on exactly the file that was judged, or on none.

What holds for a host that writes at any moment, with leases: what was written before the act makes
it fail, because a size, time or inode differs, or the file is still open; what is opened during the
act waits for its end. Without leases, where a site has accepted that, a process that has the file
open may lose what it writes between the comparison and the act.
"""

import itertools
import os
import time

from vtspolicy.tapes import Fingerprint
from vtspolicy.vaults.errors import ChangedError, VaultError
from vtspolicy.vaults.files import (
    UNSUPPORTED,
    Lease,
    OpenPool,
    claimed,
    is_moved,
    opened,
    require_judged,
)
from vtspolicy.vaults.private import DELETE, KEPT

GRACE = 0.01
"""Seconds that are given to a process that has looked up a name and is about to open its file."""


def erase(pool: OpenPool, judged: Fingerprint) -> Fingerprint:
    """Empty the judged file and return what it is then.

    It is compared and emptied through one descriptor, under a write lease. A process that opens
    the tape in between waits and finds it empty. Two things can happen in spite of that, and both
    are told: the lease may be broken by the kernel because emptying took longer than
    `lease-break-time`, and another file may have been renamed to the tape's name; that one is left
    as it is. Between the last look at the lease and the truncation there is one system call. Only a
    process that is halted there for longer than `lease-break-time`, while another one waits for
    the file, would lose what that one writes meanwhile.
    """
    with (
        opened(pool, pool.name, os.O_WRONLY) as file,
        claimed(pool, file, pool.name) as lease,
    ):
        now = require_judged(pool, file, judged)
        if now.size:
            lease.require()
            pool.system.truncate(file)
        pool.system.sync(file)
        facts = pool.system.facts(file)
        if lease.may_have_been_broken:
            raise VaultError(
                f"{pool.tape.name} was emptied, but that took so long that another process may"
                " have opened it meanwhile"
            )
        if facts.st_size:
            raise ChangedError(f"{pool.tape.name} was written while it was emptied")
        if not pool.means(pool.name, facts):
            raise ChangedError(f"{pool.tape.name} became another file while it was emptied")
        return pool.fingerprint(facts)


def delete(pool: OpenPool, judged: Fingerprint, token: str) -> None:
    """Remove the judged file. That it is gone already is fine.

    It is renamed to a private name first, so that what is removed is what was compared: a rename
    of another file to the tape's name, at any moment, makes the act fail, and both files stay. A
    process that waits for the file makes the act fail as well: the name is given back before the
    process gets the file. A process that has looked the name up before the rename and opens the
    file after the removal gets a file without a name, as with any removal; it is given a moment.
    """
    try:
        with (
            opened(pool, pool.name, os.O_RDONLY) as file,
            claimed(pool, file, pool.name) as lease,
        ):
            require_judged(pool, file, judged)
            _remove(pool, file, lease, judged, token)
    except FileNotFoundError:
        return


def _remove(pool: OpenPool, file: int, lease: Lease, judged: Fingerprint, token: str) -> None:
    aside = pool.private(token, DELETE)
    lease.require()
    put_aside(pool, aside)
    try:
        facts = pool.system.facts(file)
        if not pool.means(aside, facts):
            raise ChangedError(f"{pool.tape.name} became another file: it was not removed")
        if facts.st_nlink != 1:
            raise ChangedError(f"{pool.tape.name} has got a second name: it was not removed")
        if not is_moved(judged, pool.fingerprint(facts), pool.features):
            raise ChangedError(f"{pool.tape.name} was written just now: it was not removed")
        if lease.is_real:
            time.sleep(GRACE)
        lease.require()
    except (VaultError, OSError) as error:
        put_back(pool, aside, token)
        pool.sync()
        if isinstance(error, VaultError):
            error.renamed = only_renamed(pool, file, lease, judged)
        raise
    pool.system.unlink(aside, pool.folder)
    pool.sync()


def only_renamed(
    pool: OpenPool, file: int, lease: Lease, judged: Fingerprint
) -> Fingerprint | None:
    """Return what the judged file is after it was renamed and has its name again.

    None where more than its change time may be another: no lease kept others from writing to it.
    """
    facts = pool.system.facts(file)
    now = pool.fingerprint(facts)
    if not lease.is_real or lease.may_have_been_broken or not pool.means(pool.name, facts):
        return None
    return now if is_moved(judged, now, pool.features) else None


def put_aside(pool: OpenPool, aside: str) -> None:
    """Rename the tape to a private name that is free.

    Where the kernel cannot rename without replacing, the name is looked up first; no one else
    makes private names.
    """
    try:
        pool.system.rename_free(pool.name, aside, pool.folder)
    except FileExistsError as error:
        raise VaultError(f"{pool.shown(aside)} is in the way") from error
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        if pool.has(aside):
            raise VaultError(f"{pool.shown(aside)} is in the way") from error
        pool.system.rename(pool.name, aside, pool.folder)


def put_back(pool: OpenPool, aside: str, token: str) -> None:
    """Give a file with a private name the tape's name again, if that is free.

    Where the kernel cannot rename without replacing, the file gets the name as a second one, and
    then loses the private one. Raises VaultError when another file has the name, or it cannot be
    given; it names the file, which keeps a private name then. Another file that has the tape's name
    is the newer one: the one put aside is kept under a name that is never given back, also when
    the newer one was deleted.
    """
    try:
        give_name(pool, aside)
    except FileExistsError as error:
        raise VaultError(
            f"{keep(pool, aside, token)} has data of {pool.tape.name}, whose name another file"
            " has now; it was left there"
        ) from error
    except OSError as error:
        raise VaultError(
            f"{pool.shown(aside)} has data of {pool.tape.name} and cannot be renamed to that:"
            f" {error.strerror}; it was left there"
        ) from error


def keep(pool: OpenPool, name: str, token: str) -> str:
    """Give a private name up for one that is never removed nor given back; return that, shown."""
    for number in itertools.count(1):
        kept = pool.private(token if number == 1 else f"{token}-{number}", KEPT)
        if not pool.has(kept):
            pool.system.rename(name, kept, pool.folder)
            break
    pool.sync()
    return pool.shown(kept)


def give_name(pool: OpenPool, aside: str) -> None:
    """Rename a private file to the tape's name. Raises FileExistsError when that is taken."""
    try:
        pool.system.rename_free(aside, pool.name, pool.folder)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        pool.system.link(aside, pool.name, pool.folder)
        pool.system.unlink(aside, pool.folder)


def undo_delete(pool: OpenPool, token: str) -> bool:
    """Put right what a crash in the middle of a delete has left; return whether there was any.

    The file gets its name back: whether it was the judged one is not known any more. Raises
    VaultError naming both when another file has the tape's name: see `put_back`.
    """
    aside = pool.private(token, DELETE)
    facts = pool.facts(aside)
    if facts is None:
        return False
    if pool.means(pool.name, facts):
        pool.system.unlink(aside, pool.folder)  # it had its name back as a second one
    else:
        put_back(pool, aside, token)
    pool.sync()
    return True
