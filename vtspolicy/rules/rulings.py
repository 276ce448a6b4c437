"""What the evidence of copies would say to the jobs of a decision, for rule tests and explain."""

from collections.abc import Collection

from attrs import evolve

from vtspolicy.rules.decision import PlannedJob
from vtspolicy.rules.expand import names_in
from vtspolicy.rules.table import Table
from vtspolicy.rules.work import Then, Work
from vtspolicy.tapes import Act, Facts, Proof, Ruling, judge, stricter

ACTS: dict[Then, Act] = {
    "migrated": Act.ARCHIVE,
    "restored": Act.RESTORE,
    "erased": Act.ERASE,
    "deleted": Act.DELETE,
}
"""What is done to a tape by a rule with this `then`."""


def ruling_of(table: Table, job: PlannedJob, facts: Facts) -> Ruling | None:
    """Return what the evidence says to a job about one tape; None: it is not asked.

    It is the engine's own function. The proof that copies need is that of the rules in force for
    their application; the engine takes that of the rule that made them.
    """
    act = ACTS[job.work.then] if job.work.then is not None else None
    if act is None or job.tape is None:
        return None
    work = job.work
    restores = act is Act.RESTORE
    copies = tuple(
        each
        if each.demanded is not None
        else evolve(each, demanded=_demanded(table, each.application))
        for each in facts.copies
    )
    known = evolve(
        facts,
        copies=copies,
        demanded=work.proof,
        movable=movable(table),
        in_place=restores and work.restores_to == "path",
        application=work.application if restores else None,
        needs_copy=not restores or names_a_copy(work),
    )
    return judge(act, known)


def _demanded(table: Table, application: str) -> Proof | None:
    """The strictest proof that rules which copy with an application ask for."""
    proofs = [
        rule.work.proof
        for rule in table.rules
        if rule.work is not None
        and rule.work.then == "migrated"
        and rule.work.application == application
        and rule.work.proof is not None
    ]
    return stricter(*proofs) if proofs else None


def movable(table: Table) -> Collection[str]:
    """Return the applications that can bring a tape back to another place."""
    return {
        rule.work.application
        for rule in table.rules
        if rule.work is not None
        and rule.work.then == "restored"
        and rule.work.restores_to != "path"
    }


def names_a_copy(work: Work) -> bool:
    """Return whether a restore names the copy that it brings back."""
    templates = [*work.run, *work.input]
    if work.prepare is not None:
        templates += [*work.prepare.run, *work.prepare.input]
    return any("handle" in names_in(each) for each in templates)
