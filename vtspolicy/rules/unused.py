"""Names that nothing uses: a setting that is accepted has an effect."""

from collections.abc import Iterable, Iterator, Mapping

from vtspolicy.config.positions import Place, Table
from vtspolicy.config.reading import Findings, Section
from vtspolicy.rules.places import PROGRAM, is_shipped
from vtspolicy.rules.work import Retry, Work
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


_OF_PROGRAMS = (
    *("prepare", "input", "env", "outcome", "read", "progress", "expect", "cause"),
    *("poll", "cancel", "cancel_input", "handle", "ready"),
)
"""Keys that say something about a program that a rule runs."""


def check_effects(read: Section, work: Work, findings: Findings) -> None:
    """Warn of keys of a rule that have no effect beside its others."""
    why = {key: "it runs no program" for key in _OF_PROGRAMS if not work.run}
    if work.poll is None:
        why.setdefault("cancel", "it has no poll: a run of its own is stopped by a signal")
    if not work.cancel:
        why.setdefault("cancel_input", "it has no cancel")
    if work.then != "restored":
        why.setdefault("ready", "it restores nothing, so that no mount waits for it")
    if work.then != "migrated":
        why.setdefault("handle", "it makes no copies")
    if work.retry.attempts == 1 and work.retry != Retry():  # `retry: 1` itself has its use
        why["retry"] = "attempts is 1, so that nothing is repeated"
    silence, attempt = work.limits.silence, work.limits.attempt
    if silence is not None and attempt is not None and silence >= attempt:
        why["timeouts"] = "silence is not less than timeout, which ends the attempt first"
    for key in sorted(why.keys() & read.given):
        findings.add(read.key_place(key), f"{key} has no effect here: {why[key]}", warning=True)
