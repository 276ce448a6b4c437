"""The people of the console: `people.yaml`, who may sign in and what each of them may do."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from attrs import frozen

from vtspolicy.config import reading
from vtspolicy.config.positions import Place, read_file
from vtspolicy.config.reading import REQUIRED, Findings, Key, keys_of

LONGEST_NAME = 64
"""Characters of the longest name of a person."""


class Right(StrEnum):
    """One thing that a role allows."""

    READ = "read"  # every page but the history
    ORDER = "order"  # cancel, retry, migrate, restore, mark, acknowledge
    DESTROY = "destroy"  # erase, delete, override, release a lock
    ADMINISTER = "administer"  # reload, drain, resume
    HISTORY = "history"  # who did what


class Role(StrEnum):
    """What a person is to this server."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.OPERATOR: frozenset({Right.READ, Right.HISTORY, Right.ORDER}),
    Role.SUPERVISOR: frozenset({Right.READ, Right.HISTORY, Right.ORDER, Right.DESTROY}),
    Role.ADMINISTRATOR: frozenset(Right),
    Role.AUDITOR: frozenset({Right.HISTORY}),
}
"""What each role allows."""


@frozen(kw_only=True)
class Person:
    """Somebody who may sign in."""

    name: str
    role: Role
    password: str  # its argon2id hash
    hosts: tuple[str, ...]  # whose requests, jobs and tapes are shown: names or globs

    def may(self, right: Right) -> bool:
        """Whether the person's role allows something."""
        return right in RIGHTS[self.role]


_hash = reading.matching(
    r"\$argon2id\$v=19\$m=[0-9]{1,7},t=[0-9]{1,3},p=[0-9]{1,3}\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+",
    "the hash that `vtspolicy passwd` makes",
)
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.@-]{{0,{LONGEST_NAME - 1}}}")
"""The names that people may have."""

_name = reading.matching(
    NAME.pattern, f"a name of up to {LONGEST_NAME} letters, digits and _ . @ -"
)

PERSON = keys_of(
    Key(
        name="role",
        read=reading.choice(*Role),
        type="a role",
        default=REQUIRED,
        help="viewer, operator, supervisor, administrator or auditor",
    ),
    Key(
        name="password",
        read=_hash,
        type="a hash",
        default=REQUIRED,
        help="the argon2id hash of the password, in quotes; `vtspolicy passwd` makes it",
    ),
    Key(
        name="hosts",
        read=reading.items(reading.text, single=True),
        type="a list",
        default=REQUIRED,
        help='whose requests, jobs and tapes the person sees, names or globs; "*" for all and'
        " for what operators order",
    ),
)
"""The keys of one person."""


def read_people(path: Path, findings: Findings) -> dict[str, Person]:
    """Return the people of a file by their names; what is wrong in it is added to the findings."""
    root, problems = read_file(path)
    findings.extend(problems)
    if root is None:
        return {}
    read = reading.mapping(_name, reading.section_of(PERSON, "a person"))(root, findings) or {}
    people = {}
    for name, each in read.items():
        if any(each[key] is None for key in PERSON):
            continue  # said above
        people[name] = Person(
            name=name,
            role=Role(each["role"]),
            password=each["password"],
            hosts=tuple(each["hosts"]),
        )
    if not people and not findings.errors:
        place = Place(file=str(path))
        findings.add(place, "no person can sign in to the console: the file is empty", warning=True)
    return people
