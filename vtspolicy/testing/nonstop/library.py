"""Files that TACL loads: libraries of a site, and the definitions of the programmatic interface.

Documented: `?SECTION name type` begins a variable; comments and blank lines are dropped; `#LOAD`
gives the names that it has loaded, or with `LOADED` puts them into a variable, one a line; with
`KEEP` it removes older levels; every name is pushed. `LOAD` is the command.

Ours: names of files are given in full; types are ROUTINE, TEXT and STRUCT, and a library with
another one is refused as a whole; lines have at most 239 bytes.
"""

import re
from collections.abc import Mapping

from vtspolicy.testing.nonstop.flow import define
from vtspolicy.testing.nonstop.lexical import END, Reader, shown
from vtspolicy.testing.nonstop.options import nothing_more, take_number, take_options, take_word
from vtspolicy.testing.nonstop.spi import DEFINITIONS
from vtspolicy.testing.nonstop.tacl import Tacl, Word, at_once
from vtspolicy.testing.nonstop.terminal import LINE_LIMIT
from vtspolicy.testing.nonstop.variables import Level, TaclError

_SECTION = re.compile(r"\?SECTION +(\S+) +(\S+) *", re.IGNORECASE)


def sections(text: str) -> dict[str, Level]:
    """Return what a library defines, by name. Raises TaclError."""
    found: dict[str, Level] = {}
    name, kind, body = "", "", [""]
    reader = Reader()

    def end() -> None:
        if reader.text or reader.in_comment:
            raise TaclError(f"{name or 'The library'} ends within a bracket, comment or line")
        if name:
            found[name] = define(kind, END.join(body))

    for line in text.splitlines():
        if len(line.encode()) > LINE_LIMIT:
            raise TaclError(f"A line is longer than {LINE_LIMIT} bytes: {line[:40]}")
        if line.startswith("?"):
            section = _SECTION.fullmatch(line)
            if section is None:
                raise TaclError(f"{line[:40]} is not simulated")
            end()
            name, kind, body = section[1].upper(), section[2].upper(), []
        else:
            logical = reader.take(line, "TACL")
            if logical is not None and logical.strip(f" {END}"):
                if not name:
                    raise TaclError(f"{shown(logical)[:40]} stands before the first ?SECTION")
                body.append(logical.strip(" "))
    end()
    return found


def _load(tacl: Tacl, rest: str, *, shows: bool) -> str:
    options, rest = take_options(rest, "KEEP", "LOADED")
    file, rest = take_word(rest)
    nothing_more(rest)
    loaded: Mapping[str, Level]
    if (text := tacl.console.system.settings.files.get(file.upper())) is not None:
        loaded = sections(text)
    elif (definitions := DEFINITIONS.get(file.upper())) is not None:
        loaded = definitions
    else:
        raise TaclError(f"File {shown(file)} does not exist")
    for name, level in loaded.items():
        tacl.variables.push(name, level, framed=False)
        if "KEEP" in options:
            tacl.variables.keep(name, take_number(options["KEEP"], tacl.variables)[0])
    if "LOADED" in options:
        tacl.variables.text(options["LOADED"])
        tacl.variables.set(options["LOADED"], "\n".join(loaded))
        return ""
    return "" if shows else " ".join(loaded)


LIBRARY: Mapping[str, Word] = {
    "#LOAD": at_once(lambda tacl, rest: _load(tacl, rest, shows=False)),
    "LOAD": at_once(lambda tacl, rest: _load(tacl, rest, shows=True)),
}
