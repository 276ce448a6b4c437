"""Owner, mode, access list and attributes: what a new file takes over from the old one."""

import errno
import stat

from vtspolicy.vaults.errors import CannotExchangeError, trouble
from vtspolicy.vaults.files import OpenPool

ACCESS_LIST = "system.posix_acl_access"

OF_CONTENT = frozenset({"security.ima", "security.evm"})
"""Extended attributes that are sums of the content or of one file: they fit no other."""

READABLE = 0o666

DENIED = frozenset({errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EINVAL})


def make_alike(pool: OpenPool, old: int, new: int) -> None:
    """Give the new file owner, group, mode, access list and extended attributes of the old one.

    Raises CannotExchangeError when one of them cannot be given: with another owner or access list
    a host might not be able to use its tape any more.
    """
    system = pool.system
    try:
        then, now = system.facts(old), system.facts(new)
        if (then.st_uid, then.st_gid) != (now.st_uid, now.st_gid):
            user = then.st_uid if then.st_uid != now.st_uid else -1
            system.set_owner(new, user, then.st_gid if then.st_gid != now.st_gid else -1)
        _copy_attributes(pool, old, new)
        mode = stat.S_IMODE(then.st_mode)
        if stat.S_IMODE(system.facts(new).st_mode) != mode:
            system.set_mode(new, mode)
    except OSError as error:
        if error.errno not in DENIED:
            raise trouble(error, f"{pool.tape.name} cannot be exchanged") from error
        raise CannotExchangeError(
            f"the restored file cannot get owner, mode and attributes of {pool.tape.name}:"
            f" {error.strerror}"
        ) from error


def _copy_attributes(pool: OpenPool, old: int, new: int) -> None:
    wanted = pool.system.attributes(old)
    there = pool.system.attributes(new)
    for name in there.keys() - wanted.keys():
        if name == ACCESS_LIST or name.startswith("user."):
            pool.system.set_attribute(new, name, None)
    for name, value in wanted.items():
        if name not in OF_CONTENT and there.get(name) != value:
            pool.system.set_attribute(new, name, value)


def make_usual(pool: OpenPool, new: int) -> None:
    """Give a file that replaces none the owner, group and mode that fit its pool.

    Those are the pool's own: its owner and group, and its mode without the bits that let enter it.
    What may not be given stays as the application, or the pool's default access list, gave it.
    """
    system = pool.system
    parent, now = system.facts(pool.folder), system.facts(new)
    for user, group in ((-1, parent.st_gid), (parent.st_uid, -1)):
        if user in {-1, now.st_uid} and group in {-1, now.st_gid}:
            continue
        try:
            system.set_owner(new, user, group)
        except OSError as error:
            if error.errno not in DENIED:
                raise
    try:
        if ACCESS_LIST not in system.attributes(new):
            system.set_mode(new, (stat.S_IMODE(parent.st_mode) & READABLE) | 0o600)
    except OSError as error:
        if error.errno not in DENIED:
            raise
