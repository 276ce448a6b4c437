"""Secrets where others can see them: argument lists and variables."""

import re
from collections.abc import Mapping

from vtspolicy.rules.expand import Template, names_in

_WORD = r"(password|passwd|passphrase|passwort|pwd|secret|token|api[-_]?key)"
_OPTION = re.compile(rf"--?(?!no-)[a-z]*-?{_WORD}(=.*)?", re.IGNORECASE | re.DOTALL)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
_INSIDE = re.compile(rf"(?:^|[,;?&\s])[a-z_-]*{_WORD}=(?!/|\{{|$)[^,;&\s]", re.IGNORECASE)
_VARIABLE = re.compile(rf".*{_WORD}.*|.*_(KEY|PASS|PW)", re.IGNORECASE)
_OF_A_FILE = re.compile(r".*(FILE|PATH|DIR|COMMAND|CMD)", re.IGNORECASE)
_NAME = re.compile(rf"(.*[._])?{_WORD}", re.IGNORECASE)

BY_FILE = "every user of the machine can see it there: give a file, or the product's own store"
"""What to do instead."""


def secret_argument(template: Template) -> str | None:
    """Return what looks like a password in an argument, or None."""
    if _OPTION.fullmatch(template):
        return f"{template.partition('=')[0]} puts a password on the argument list"
    if _URL.search(template):
        return "a URL with a password is on the argument list"
    if _INSIDE.search(template):
        return "a password is within an argument"
    return None


def secret_name(template: Template, constants: Mapping[str, str]) -> str | None:
    """Return how the secret is called that a template takes from a place or keyword, or None.

    A constant that is a path names the file of a secret, and not the secret.
    """
    for name in names_in(template):
        if _NAME.fullmatch(name) and not constants.get(name, "").startswith("/"):
            return f"{{{name}}} holds a password"
    return None


def doubtful_pair(flag: str, value: Template) -> str | None:
    """Return why two arguments may be a password, or None: -p is also a port or a policy."""
    if flag == "-p" and not names_in(value) and re.search(r"[A-Za-z]", value):
        return f"-p {value} may be a password on the argument list"
    return None


def secret_variable(name: str, template: Template) -> str | None:
    """Return what looks like a password in the environment, or None; a path of a file is none."""
    secret = _VARIABLE.fullmatch(name) and not _OF_A_FILE.fullmatch(name)
    if secret and not template.startswith("/"):
        return f"{name} holds a password"
    if _URL.search(template):
        return f"{name} holds a URL with a password"
    return None
