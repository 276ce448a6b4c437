"""Who asks the console: signing in with a password, sessions, and what a person may see.

Everything is bounded: sessions, names and addresses that are remembered, and the passwords that are
compared at once. Sessions end with the server: who is signed in signs in again after a restart.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from attrs import define, field, frozen
from twisted.internet.defer import Deferred

from vtspolicy.config.model import Host
from vtspolicy.config.people import LONGEST_NAME, Person, Right

IDLE = 3600.0
"""Seconds without a request after which a session ends."""

LONGEST = 12 * 3600.0
"""Seconds after which a session ends however much it is used."""

SESSIONS = 1000
"""Sessions at once; the one that was used longest ago makes way."""

FREE_TRIES = 5
"""Wrong passwords of one name, or from one address, before the next try has to wait."""

SLOWEST = 900.0
"""Seconds that a try has to wait at most."""

REMEMBERED = 10_000
"""Names and addresses with wrong passwords that are remembered; the oldest is forgotten first."""

COMPARED = 4
"""Passwords that are compared or wait for it at once: each takes 64 MiB and some 50 ms."""

LONGEST_PASSWORD = 1024
"""Characters of the longest password that is compared."""


class SignInRefused(Exception):  # noqa: N818 - it is the caller's
    """The name or the password is wrong, or the try comes too soon; the message is for the caller.

    It is the same whether there is such a person or not.
    """

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait  # seconds until the next try is looked at


@frozen(kw_only=True)
class Sight:
    """What a person may see: those hosts whose names fit."""

    hosts: tuple[str, ...]  # names or globs

    @cached_property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return "*" in self.hosts

    def sees(self, host: str) -> bool:
        """Whether requests of a host are shown; "" stands for those of operators."""
        return self.is_whole or (bool(host) and any(fnmatchcase(host, each) for each in self.hosts))

    def among(self, hosts: Mapping[str, Host]) -> tuple[Host, ...]:
        """Return the configured hosts that are seen."""
        return tuple(each for each in hosts.values() if self.sees(each.name))

    def sees_vault(self, vault: str, hosts: Mapping[str, Host]) -> bool:
        """Whether tapes of a vault are shown: a host that is seen may use it."""
        return self.is_whole or any(
            fnmatchcase(vault, each) for host in self.among(hosts) for each in host.vaults
        )


@define(kw_only=True)
class Session:
    """One person in one browser."""

    name: str  # of the person
    role: str  # as it was at the beginning: another one ends the session
    began: float  # seconds of the monotonic clock
    used: float  # the same; the last request
    form: str = field(factory=lambda: secrets.token_urlsafe(24))  # what each form has to bear


@define
class _Tries:
    """Wrong passwords of one name or address in a row."""

    count: int = 0
    until: float = 0.0  # the next try is not looked at before; seconds of the monotonic clock


@define(kw_only=True)
class Access:
    """Who is signed in, and who may not try again yet."""

    people: Callable[[], Mapping[str, Person]]  # as the configuration in force has them
    monotonic: Callable[[], float]
    threads: Callable[..., Deferred[Any]]  # calls a function elsewhere and returns its answer
    hasher: PasswordHasher = field(factory=PasswordHasher)
    _sessions: "OrderedDict[str, Session]" = field(init=False, factory=OrderedDict)
    _tries: "OrderedDict[str, _Tries]" = field(init=False, factory=OrderedDict)
    _comparing: int = field(init=False, default=0)
    _nobody: str = field(init=False, default="")  # a hash that no password has

    async def sign_in(self, name: str, password: str, address: str) -> str:
        """Begin a session; returns the text of its cookie. Raises SignInRefused."""
        now = self.monotonic()
        keys = (f"name {name[:LONGEST_NAME]}", f"address {address}")
        wait = max(self._wait(key, now) for key in keys)
        if wait > 0:
            raise SignInRefused(f"too many wrong passwords: try again in {wait:.0f} s", wait)
        if self._comparing >= COMPARED:
            raise SignInRefused("too many people sign in just now: try again in a moment", 1.0)
        person = self.people().get(name)
        self._comparing += 1
        try:
            if not self._nobody:
                self._nobody = await self.threads(self.hasher.hash, secrets.token_urlsafe())
            known = person.password if person is not None else self._nobody
            fits = await self.threads(self._fits, known, password[:LONGEST_PASSWORD])
        finally:
            self._comparing -= 1
        if person is None or not fits or len(password) > LONGEST_PASSWORD:
            for key in keys:
                self._count_wrong(key)
            raise SignInRefused("this name and password do not fit")
        self._tries.pop(keys[0], None)
        return self._begin(person)

    def _fits(self, known: str, password: str) -> bool:
        try:
            return self.hasher.verify(known, password)
        except (VerificationError, InvalidHashError, ValueError):
            return False

    def _begin(self, person: Person) -> str:
        now = self.monotonic()
        while len(self._sessions) >= SESSIONS:
            self._sessions.popitem(last=False)
        token = secrets.token_urlsafe(32)
        self._sessions[token] = Session(name=person.name, role=person.role, began=now, used=now)
        return token

    def session(self, token: str | None) -> tuple[Session, Person] | None:
        """Return the session of a cookie and its person; None when it has ended."""
        session = self._sessions.get(token) if token is not None else None
        if session is None or token is None:
            return None
        now, person = self.monotonic(), self.people().get(session.name)
        over = now - session.used > IDLE or now - session.began > LONGEST
        if over or person is None or person.role != session.role:
            del self._sessions[token]
            return None
        session.used = now
        self._sessions.move_to_end(token)
        return session, person

    def sign_out(self, token: str) -> None:
        """End a session."""
        self._sessions.pop(token, None)

    def _wait(self, key: str, now: float) -> float:
        tries = self._tries.get(key)
        return 0.0 if tries is None else tries.until - now

    def _count_wrong(self, key: str) -> None:
        tries = self._tries.setdefault(key, _Tries())
        self._tries.move_to_end(key)
        tries.count += 1
        if tries.count >= FREE_TRIES:
            delay = min(2.0 ** (tries.count - FREE_TRIES), SLOWEST)
            tries.until = self.monotonic() + delay
        while len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)


def is_form(session: Session, given: str) -> bool:
    """Whether a form was made by a page of this session (and by no other site)."""
    return hmac.compare_digest(session.form.encode(), given.encode())


def sight_of(person: Person) -> Sight:
    """Return what a person may see."""
    return Sight(hosts=person.hosts if person.may(Right.READ) else ())
