"""Names that nothing uses: a setting that is accepted has an effect."""

from collections.abc import Iterable, Iterator, Mapping

from vtspolicy.config.positions import Place, Table
from vtspolicy.config.reading import Findings, Section
from vtspolicy.rules.places import PROGRAM, is_shipped
from vtspolicy.suggest import did_you_mean

Used = tuple[Section, Iterable[str]]
"""An application as written, and the names of its places and programs that templates use."""


def check_constants(applications: Mapping[str, Used], findings: Findings) -> None:
    """Report places and programs that no template of their application names.

    Applications that share a mapping by an anchor use it together. What is in a table that
    comes with the program is left alone: a site that replaces a rule need not use all of it.
    """
    somewhere = {
        entry
        for read, used in applications.values()
        for name, entry in _written(read)
        if name in set(used)
    }
    for application, (read, used) in applications.items():
        known = set(used)
        for name, place in _written(read):
            if place in somewhere or is_shipped(place):
                continue
            kind = "program" if name.startswith(PROGRAM) else "place"
            others = [each for each in known if each.startswith(PROGRAM) == (kind == "program")]
            short = [each.removeprefix(PROGRAM) for each in sorted(others)]
            findings.add(
                place,
                f'no argument of {application} uses the {kind} "{name.removeprefix(PROGRAM)}"',
                did_you_mean(name.removeprefix(PROGRAM), short)
                or (f"it uses {', '.join(short)}" if short else "remove it"),
            )


def _written(read: Section) -> Iterator[tuple[str, Place]]:
    """Yield the names of an application's places and programs, with where they are."""
    for key, prefix in (("places", ""), ("programs", PROGRAM)):
        entry = read.table.entries.get(key)
        if entry is not None and isinstance(entry.value, Table):
            for name, each in entry.value.entries.items():
                yield prefix + name, each.key.place
