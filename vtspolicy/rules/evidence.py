"""Checks of what a table says about the proof of copies, and about where restores write to."""

from collections.abc import Iterable

from vtspolicy.config.positions import Place
from vtspolicy.config.reading import Findings, Section
from vtspolicy.rules.expand import Template, names_in
from vtspolicy.rules.scope import ONLY_TO_RESTORE
from vtspolicy.rules.table import Rule
from vtspolicy.rules.work import Query, Work
from vtspolicy.tapes import Proof

REMEDY = "read_back: a call that reads the data and prints its digest, or proof: found"
"""What to do where a proof is demanded that cannot be had."""

EMPTYING = frozenset({"erased", "deleted"})
"""What a rule does with tapes whose copies must be proven before."""


def check_keys(read: Section, findings: Findings) -> None:
    """Report keys about proofs in a rule that has no use for them."""
    then = read["then"]
    if "proof" in read.given:
        place = read.key_place("proof")
        if then not in {"migrated", *EMPTYING}:
            message = "a proof is asked of copies before their tape is emptied, and this rule "
            message += "restores" if then == "restored" else "neither makes copies nor empties"
            findings.add(place, message, "write it in the rule that copies, erases or deletes")
        elif then in EMPTYING and "every" in (read["proof"] or {}):
            message = "copies are proven again and again where they are made, not where tapes are "
            findings.add(place, message + then, "write every in the rule with then: migrated")
    if "read_back" in read.given and then != "migrated":
        message = "read_back reads the copies that a rule has made, and this rule makes none"
        findings.add(read.key_place("read_back"), message, "write it where then: migrated is")


def check_read_back(
    work: Work, read: Section, application: Place | None, findings: Findings
) -> None:
    """Report a rule whose copies are to be proven by data that nothing reads.

    `application` is where its application asks for that, for rules that do not say it themselves.
    """
    if work.then == "migrated" and work.proof is Proof.DATA and work.read_back is None:
        own = read.place("proof") if "proof" in read.given else None
        message = f"proof: data, and nothing reads the data of {work.application} back"
        findings.add(own or application or read.table.place, message, REMEDY)


def check_restore(work: Work, read: Section, findings: Findings) -> None:
    """Report a restore that would write to more than one place, or waits for one it has not."""
    if work.then != "restored":
        return
    run = _names(work.run, work.input, *_of_query(work.prepare)) & ONLY_TO_RESTORE.keys()
    if len(run) > 1:
        message = "a restore writes to {target} or below {staging}, and this one uses both"
        findings.add(read.place("run"), message, "choose one of them")
    others: list[Iterable[Template]] = [work.cancel, work.cancel_input, work.ready]
    for query in (work.verify, *((work.poll.query, work.poll.find) if work.poll else ())):
        others += _of_query(query)
    for name in sorted(_names(*others) & ONLY_TO_RESTORE.keys() - run):
        message = f"{{{name}}} is used, and run does not restore to it"
        findings.add(read.place("run"), message, f"use {{{name}}} in run")


def check_demands(rules: Iterable[Rule], findings: Findings) -> None:
    """Report rules that would never empty the tapes of some application.

    They demand that its data is read back, and it has no `read_back`.
    """
    all_rules = tuple(rules)
    unread = {
        rule.work.application
        for rule in all_rules
        if rule.work is not None and rule.work.then == "migrated" and rule.work.read_back is None
    }
    for rule in all_rules:
        work = rule.work
        if work is None or work.then not in EMPTYING or work.proof is not Proof.DATA:
            continue
        conditions = [each for each in rule.tapes if each.key == "tape.application"]
        never = [name for name in sorted(unread) if all(each.accepts(name) for each in conditions)]
        if never:
            message = f"proof: data, and nothing reads the data of {', '.join(never)} back"
            remedy = f"{REMEDY}, or when: {{tape: {{application: ...}}}} without them"
            findings.add(rule.places.get("proof", rule.place), message, remedy)


def _of_query(query: Query | None) -> list[Iterable[Template]]:
    if query is None:
        return []
    return [query.run, query.input, *_of_query(query.prepare)]


def _names(*templates: Iterable[Template]) -> frozenset[str]:
    return frozenset(name for some in templates for each in some for name in names_in(each))
