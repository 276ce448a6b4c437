"""Names that nothing uses: a setting that is accepted has an effect."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from vtspolicy.config.positions import Entry, Place, Table
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
    why = _without_effect(work)
    for key in sorted(why.keys() & read.given):
        findings.add(read.key_place(key), f"{key} has no effect here: {why[key]}", warning=True)


def _without_effect(work: Work) -> dict[str, str]:
    """Return why keys have no effect in a rule that does this."""
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
    silence, attempt, total = work.limits.silence, work.limits.attempt, work.limits.total
    if total is not None and attempt is not None and total < attempt:
        why["timeout"] = "total is less, and ends all attempts before"
    if silence is not None and attempt is not None and silence >= attempt:
        why["timeouts"] = "silence is not less than timeout, which ends the attempt first"
    return why


def check_applications(
    applications: Mapping[str, Section], works: Collection[Work], findings: Findings
) -> None:
    """Warn of applications that no rule uses, and of keys of theirs that change none of its rules.

    What is in a table that comes with the program is left alone, and so is what applications
    share by an anchor and one of them uses.
    """
    useful: set[Place] = set()
    useless: dict[Place, str] = {}
    for name, read in applications.items():
        own: Collection[Work] = [work for work in works if work.application == name]
        if not own:
            useless.setdefault(read.table.place, f"no rule uses the application {name}")
            continue
        for key, place, why in _keys_of_application(read, own):
            if why:
                useless.setdefault(place, f"{key} has no effect in any rule of {name}: {why}")
            else:
                useful.add(place)
    for place, message in useless.items():
        if place not in useful and not is_shipped(place):
            findings.add(place, message, warning=True)


def _keys_of_application(
    read: Section, works: Collection[Work]
) -> Iterator[tuple[str, Place, str]]:
    """Yield the keys that an application gives its rules, and why they change none, or ""."""
    layers: list[tuple[str, Section, Collection[Work]]] = [("", read, works)]
    for key, then in (("archive", "migrated"), ("restore", "restored")):
        section: Section | None = read[key]
        fitting: Collection[Work] = [work for work in works if work.then == then]
        if section is not None and fitting:
            layers.append((f"{key}.", section, fitting))
        elif section is not None:
            yield key, read.key_place(key), f"none has then: {then}"
    copies = any(work.then == "migrated" for work in works)
    told_apart = {"archive", "restore"} | (set() if copies else _OF_COPIES)
    for key in sorted(told_apart & _OF_COPIES & read.given):
        yield key, read.key_place(key), "none has then: migrated"
    for prefix, layer, its in layers:
        reasons = [_without_effect(work) for work in its]
        for key in sorted(layer.given - told_apart):
            everywhere = all(key in each for each in reasons)
            yield prefix + key, layer.key_place(key), reasons[0][key] if everywhere else ""


_OF_COPIES = frozenset({"query", "read_back", "touches"})
"""Keys of an application that say something about the copies that its rules make."""


def check_calendar(
    written: Iterable[Mapping[str, Entry]], works: Iterable[Work], findings: Findings
) -> None:
    """Warn of named days that no rule's hours name."""
    used = {name for work in works for name in work.calendar}
    for entries in written:
        for name, entry in entries.items():
            if name not in used and not is_shipped(entry.key.place):
                message = f"no rule's between names the days {name}"
                findings.add(entry.key, message, did_you_mean(name, used), warning=True)
