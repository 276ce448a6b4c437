"""The types of keyword values: what each may look like, and how to say so to a person."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen

LONGEST_TEXT = 4024
"""Characters of a text; an EMS event has at most as many bytes (manual)."""

CUT_AT = 102
"""Bytes that are left of a text which was written plainly to the collector (manual)."""

LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST = rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*"
FILE_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.@#$%+:,~-]+"
PATH = rf"(?=.{{1,255}}\Z)/{FILE_PART}(?:/{FILE_PART})*"
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.@#$+-]{0,63}"


@frozen(kw_only=True)
class ValueType:
    """One type that a keyword's value can have."""

    name: str  # as written in families.yaml
    pattern: re.Pattern[str]  # matches the whole value
    expected: str  # completes "expected ..."
    sample: str  # a value that is right


def _types(*rows: tuple[str, str, str, str]) -> Mapping[str, ValueType]:
    return MappingProxyType(
        {
            name: ValueType(
                name=name, pattern=re.compile(pattern, re.ASCII), expected=expected, sample=sample
            )
            for name, pattern, expected, sample in rows
        }
    )


TYPES = _types(
    ("host", HOST, "a host name", "vts1.example.com"),
    ("path", PATH, "an absolute path", "/opt/tivoli/dsm.opt"),
    ("file", rf"{PATH}|{NAME}", "an absolute path or a bare name", "/opt/tivoli/dsm.opt"),
    ("retention", r"(?!0+,)[0-9]{1,5},[hdwmy]", "number,unit with a unit of h d w m y", "14,d"),
    ("number", r"[0-9]{1,9}", "a whole number", "9"),
    ("yes-no", r"[yn]", "y or n", "y"),
    ("yes-or-host", rf"(?i:(?!(?:yes|no)\Z))(?![YN]\Z){HOST}", "y, n or a host name", "y"),
    ("name", NAME, "a name of letters, digits and _.@#$+-", "NIGHTLY"),
    ("text", r"(?!-)[!#-&(-<>-~]{1,128}", "a word without quotes or =", "any"),
)
"""Every value type by its name; the order is the reference's."""

REFERENCE = ValueType(
    name="ref",
    pattern=re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII),
    expected="1 to 32 letters, digits, - _ or .",
    sample="NB0042",
)
"""The host's own reference, `ref=`, which every family and verb takes."""

VAULT_PART = re.compile(r"VAULT[A-Za-z0-9_-]{1,11}")
"""A vault's name as the first part of a path: `VAULT01`."""

PART_CHARACTER = r"[A-Za-z0-9_.@#$+-]"
"""What the name of a pool or tape is made of; a first `-`, and `.` and `..`, are refused."""

LONGEST_PART = 64
"""Characters in the name of a pool or tape."""

REQUEST = re.compile(r"[0-9]{1,18}")
"""A request's number, which `Status` and `Cancel` take."""

BY_REFERENCE = "ref="
"""What is before the reference of a request that `Status` and `Cancel` name by it."""


def remedy(value: str, kind: ValueType) -> str | None:
    """Return how `value` is probably meant to be written, or None when that is not clear."""
    proposals: tuple[str, ...] = ()
    if kind.name == "retention":
        number, unit = re.match(r"([0-9]{0,5})[,.;:/]?(.?)", value, re.ASCII).groups()  # type: ignore[union-attr] # matches anything
        proposals = (f"{number},{unit.lower()}", f"{number},d" if not unit else "")
    elif kind.name in {"path", "file"}:
        proposals = ("/" + value.lstrip("/"), re.sub(r"/{2,}", "/", value).rstrip("/"))
    elif kind.name in {"yes-no", "yes-or-host"}:
        proposals = (value[:1].lower(),) if value.lower() in {"yes", "no", "y", "n"} else ()
    elif kind.name == "number":
        proposals = (value.replace(",", "").replace(".", ""),)
    for proposal in proposals:
        if proposal != value and kind.pattern.fullmatch(proposal):
            return proposal
    return None


TYPOGRAPHIC = str.maketrans(
    dict.fromkeys("\u2018\u2019\x91\x92", "'") | dict.fromkeys("\u201c\u201d\x93\x94", '"')
)


def plain_quotes(text: str) -> str:
    """Return `text` with plain quotes for typographic ones, every character at its column.

    Taken are those of Unicode, and those of code page 1252 that were read as C1 controls.
    """
    return text if text.isascii() else text.translate(TYPOGRAPHIC)
