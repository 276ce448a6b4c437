"""What is wrong with a path, or with the name of a tape."""

import re

from vtspolicy.grammar.reading import LONGEST_SHOWN, Reading, WrongPlaceError, guess, listed, show
from vtspolicy.grammar.values import LONGEST_PART, PART_CHARACTER, VAULT_PART
from vtspolicy.grammar.vocabulary import Family

WRONG_CHARACTER = re.compile(rf"(?!{PART_CHARACTER}).", re.DOTALL)
REMEDIES = {",": "separate tapes by blanks", "/": "give the tape's name alone"}


def check_target(reading: Reading, family: Family, start: int) -> int:
    """Check `[operation] path`, which begins at `start`, and return where it ends."""
    return _check_path(reading, _path_start(reading, family, start))


def _path_start(reading: Reading, family: Family, at: int) -> int:
    """Return where the path begins, behind the operation if there is one."""
    word = reading.word(at)
    after = at + len(word)
    expected = listed((*family.operations, "/VAULTxx/pool"), " or ")
    if not word:
        raise WrongPlaceError(at, f"found {reading.found(at)}, expected {expected}")
    if word.startswith("/"):
        return at
    if reading.is_pair(after):
        message = f"found {show(word)} before the path, expected {expected}"
        raise WrongPlaceError(at, message, "the path comes first, then keyword=value")
    if word in family.operations:
        following = reading.space(after)
        if reading.text.startswith("/", following):
            return following
        path = reading.word(following)
        hint = (
            f"write {show('/' + path)}"
            if VAULT_PART.match(path) and len(path) < LONGEST_SHOWN
            else None
        )
        message = f"found {reading.found(following)}, expected /VAULTxx/pool after {word}"
        raise WrongPlaceError(following, message, hint)
    if "/" in word or VAULT_PART.match(word):
        slash = word.find("/")
        if word[:slash] in family.operations:
            message = f"found / right after {word[:slash]}, expected a blank before it"
            raise WrongPlaceError(at + slash, message)
        vault = VAULT_PART.match(word) and len(word) < LONGEST_SHOWN
        hint = f"write {show('/' + word)}" if vault else "write /VAULTxx/pool[/cartridge]"
        raise WrongPlaceError(at, f"found {show(word)}, but a path is absolute: expected /", hint)
    raise WrongPlaceError(
        at, f"found {show(word)}, expected {expected}", guess(word, family.operations)
    )


def _check_path(reading: Reading, start: int) -> int:
    """Check the path, and return where it ends."""
    word = reading.word(start)
    end = start + len(word)
    parts = word[1:].split("/", 3)
    at = start + 1
    for part, what in zip(parts, ("vault", "pool", "cartridge"), strict=False):
        check_name(at, part, what)
        at += len(part) + 1
    if len(parts) > 3:
        message = f"found {show('/' + parts[3])}, but a path ends with the cartridge"
        raise WrongPlaceError(at - 1, message, "write /VAULTxx/pool/cartridge")
    if len(parts) == 1:
        raise WrongPlaceError(end, f"found no pool after {word}, expected /VAULTxx/pool")
    if reading.is_pair(end):
        raise WrongPlaceError(reading.space(end), "found = after the path, expected a keyword")
    return end


def check_name(at: int, name: str, what: str) -> None:
    """Check one name of a path, or a tape's name, which begins at `at`."""
    article = "a" if what != "vault" else "the"
    if not name:
        expected = "VAULTxx" if what == "vault" else f"the name of {article} {what}"
        hint = None if what == "vault" else "remove the / that is too much"
        raise WrongPlaceError(at, f"found an empty part of the path, expected {expected}", hint)
    if name in {".", ".."}:
        message = f'found "{name}", expected the name of {article} {what}'
        raise WrongPlaceError(at, message, "write the path in full")
    if what == "vault" and not VAULT_PART.fullmatch(name):
        upper = name.upper()
        hint = f'did you mean "{upper}"?' if VAULT_PART.fullmatch(upper) else None
        raise WrongPlaceError(at, f"found {show(name)}, expected a vault such as VAULT01", hint)
    if wrong := WRONG_CHARACTER.search(name):
        hint = REMEDIES.get(wrong[0]) if what == "tape" else None
        message = f"found {show(wrong[0])}, which cannot be in the name of a {what}"
        raise WrongPlaceError(at + wrong.start(), message, hint or "letters, digits, _.@#$+- can")
    if name.startswith("-"):
        message = f"found {show(name)}, but the name of a {what} cannot begin with -"
        raise WrongPlaceError(at, message)
    if len(name) > LONGEST_PART:
        message = f"found a name of {len(name)} characters, at most {LONGEST_PART} are allowed"
        raise WrongPlaceError(at + LONGEST_PART, message)
