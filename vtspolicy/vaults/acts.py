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
    Place,
    claimed,
    is_moved,
    opened,
    require_judged,
)
from vtspolicy.vaults.private import DELETE, KEPT

GRACE = 0.01
"""Seconds that are given to a process that has looked up a name and is about to open its file."""


def erase(place: Place, judged: Fingerprint) -> Fingerprint:
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
        opened(place, place.name, os.O_WRONLY) as file,
        claimed(place, file, place.name) as lease,
    ):
        now = require_judged(place, file, judged)
        if now.size:
            lease.require()
            place.system.truncate(file)
        place.system.sync(file)
        facts = place.system.facts(file)
        if lease.may_have_been_broken:
            raise VaultError(
                f"{place.tape.name} was emptied, but that took so long that another process may"
                " have opened it meanwhile"
            )
        if facts.st_size:
            raise ChangedError(f"{place.tape.name} was written while it was emptied")
        if not place.means(place.name, facts):
            raise ChangedError(f"{place.tape.name} became another file while it was emptied")
        return place.fingerprint(facts)


def delete(place: Place, judged: Fingerprint, token: str) -> None:
    """Remove the judged file. That it is gone already is fine.

    It is renamed to a private name first, so that what is removed is what was compared: a rename
    of another file to the tape's name, at any moment, makes the act fail, and both files stay. A
    process that waits for the file makes the act fail as well: the name is given back before the
    process gets the file. A process that has looked the name up before the rename and opens the
    file after the removal gets a file without a name, as with any removal; it is given a moment.
    """
    try:
        with (
            opened(place, place.name, os.O_RDONLY) as file,
            claimed(place, file, place.name) as lease,
        ):
            require_judged(place, file, judged)
            _remove(place, file, lease, judged, token)
    except FileNotFoundError:
        return


def _remove(place: Place, file: int, lease: Lease, judged: Fingerprint, token: str) -> None:
    aside = place.private(token, DELETE)
    lease.require()
    put_aside(place, aside)
    try:
        facts = place.system.facts(file)
        if not place.means(aside, facts):
            raise ChangedError(f"{place.tape.name} became another file: it was not removed")
        if facts.st_nlink != 1:
            raise ChangedError(f"{place.tape.name} has got a second name: it was not removed")
        if not is_moved(judged, place.fingerprint(facts), place.features):
            raise ChangedError(f"{place.tape.name} was written just now: it was not removed")
        if lease.is_real:
            time.sleep(GRACE)
        lease.require()
    except (VaultError, OSError) as error:
        put_back(place, aside, token)
        place.sync()
        if isinstance(error, VaultError):
            error.renamed = only_renamed(place, file, lease, judged)
        raise
    place.system.unlink(aside, place.pool)
    place.sync()


def only_renamed(place: Place, file: int, lease: Lease, judged: Fingerprint) -> Fingerprint | None:
    """Return what the judged file is after it was renamed and has its name again.

    None where more than its change time may be another: no lease kept others from writing to it.
    """
    facts = place.system.facts(file)
    now = place.fingerprint(facts)
    if not lease.is_real or lease.may_have_been_broken or not place.means(place.name, facts):
        return None
    return now if is_moved(judged, now, place.features) else None


def put_aside(place: Place, aside: str) -> None:
    """Rename the tape to a private name that is free.

    Where the kernel cannot rename without replacing, the name is looked up first; no one else
    makes private names.
    """
    try:
        place.system.rename_free(place.name, aside, place.pool)
    except FileExistsError as error:
        raise VaultError(f"{place.shown(aside)} is in the way") from error
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        if place.has(aside):
            raise VaultError(f"{place.shown(aside)} is in the way") from error
        place.system.rename(place.name, aside, place.pool)


def put_back(place: Place, aside: str, token: str) -> None:
    """Give a file with a private name the tape's name again, if that is free.

    Where the kernel cannot rename without replacing, the file gets the name as a second one, and
    then loses the private one. Raises VaultError when another file has the name, or it cannot be
    given; it names the file, which keeps a private name then. Another file that has the tape's name
    is the newer one: the one put aside is kept under a name that is never given back, also when
    the newer one was deleted.
    """
    try:
        give_name(place, aside)
    except FileExistsError as error:
        raise VaultError(
            f"{keep(place, aside, token)} has data of {place.tape.name}, whose name another file"
            " has now; it was left there"
        ) from error
    except OSError as error:
        raise VaultError(
            f"{place.shown(aside)} has data of {place.tape.name} and cannot be renamed to that:"
            f" {error.strerror}; it was left there"
        ) from error


def keep(place: Place, name: str, token: str) -> str:
    """Give a private name up for one that is never removed nor given back; return that, shown."""
    for number in itertools.count(1):
        kept = place.private(token if number == 1 else f"{token}-{number}", KEPT)
        if not place.has(kept):
            place.system.rename(name, kept, place.pool)
            break
    place.sync()
    return place.shown(kept)


def give_name(place: Place, aside: str) -> None:
    """Rename a private file to the tape's name. Raises FileExistsError when that is taken."""
    try:
        place.system.rename_free(aside, place.name, place.pool)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        place.system.link(aside, place.name, place.pool)
        place.system.unlink(aside, place.pool)


def undo_delete(place: Place, token: str) -> bool:
    """Put right what a crash in the middle of a delete has left; return whether there was any.

    The file gets its name back: whether it was the judged one is not known any more. Raises
    VaultError naming both when another file has the tape's name: see `put_back`.
    """
    aside = place.private(token, DELETE)
    facts = place.facts(aside)
    if facts is None:
        return False
    if place.means(place.name, facts):
        place.system.unlink(aside, place.pool)  # it had its name back as a second one
    else:
        put_back(place, aside, token)
    place.sync()
    return True
