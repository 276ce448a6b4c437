"""The accounts of a simulated system, and what becomes of wrong passwords."""

from collections import Counter
from collections.abc import Iterable
from enum import Enum

from attrs import frozen


@frozen(kw_only=True)
class Account:
    """One user."""

    user: str  # GROUP.USER; upper and lower case are the same (documented)
    password: str = ""
    number: tuple[int, int] = (100, 1)  # group and user
    alias: str | None = None  # another name; its case matters (documented)
    reads_events: bool = True  # whether it may read the collector's log files
    keys: tuple[bytes, ...] = ()  # SSH public keys, each a line of `authorized_keys`

    def is_called(self, name: str) -> bool:
        """Whether a name, an alias or `group,user` in numbers means this account."""
        numbers = "{},{}".format(*self.number)
        return name.upper() == self.user.upper() or name in (self.alias, numbers)


class Verdict(Enum):
    """What a name and a password are worth."""

    RIGHT = "right"
    WRONG = "wrong"  # the user, the password, or both; nobody is told which (documented)
    FROZEN = "frozen"  # right, but the account is frozen


class Accounts:
    """All accounts; counts wrong passwords in a row, and freezes.

    That accounts freeze after a number of wrong passwords in a row is documented, and so is that
    an administrator has to thaw them; the number is a site's own setting. A wrong password for a
    frozen account is answered as any other; here it goes on counting (ours).
    """

    def __init__(self, accounts: Iterable[Account], freeze_after: int) -> None:
        self._accounts = tuple(accounts)
        self._freeze_after = freeze_after  # 0: never
        self._failed: Counter[str] = Counter()

    def named(self, name: str) -> Account | None:
        """Return the account of a name, an alias or `group,user`."""
        return next((each for each in self._accounts if each.is_called(name.strip())), None)

    def is_frozen(self, user: str) -> bool:
        """Whether an account is frozen."""
        return 0 < self._freeze_after <= self._failed[user]

    def failures(self, user: str) -> int:
        """Return how many wrong passwords in a row an account has had."""
        return self._failed[user]

    def judge(self, account: Account | None, password: str) -> Verdict:
        """Return what a password is worth; counts nothing."""
        if account is None or password != account.password:
            return Verdict.WRONG
        return Verdict.FROZEN if self.is_frozen(account.user) else Verdict.RIGHT

    def failed(self, user: str) -> None:
        """Count a wrong password."""
        self._failed[user] += 1

    def cleared(self, user: str) -> None:
        """Count anew: the user logged on, or was thawed."""
        del self._failed[user]
