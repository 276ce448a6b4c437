"""Commands that no host sends: an operator gives them, or the engine itself."""

from collections.abc import Collection, Mapping
from datetime import datetime

from attrs import define, evolve
from twisted.internet.interfaces import IReactorTime

from vtspolicy.engine.commands.deciding import settle
from vtspolicy.engine.commands.locating import Locator
from vtspolicy.engine.commands.refusals import OtherTapesError, require_no_override
from vtspolicy.engine.commands.steps import Authorised
from vtspolicy.engine.effects import EngineLedger
from vtspolicy.engine.policy import PolicyInForce
from vtspolicy.ledger import Recorded, Transaction


@define(kw_only=True)
class Orders:
    """Decides about commands as about those of hosts, and records them."""

    clock: IReactorTime
    ledger: EngineLedger
    policy: PolicyInForce
    locator: Locator

    async def give(
        self,
        command: Authorised,
        *,
        expected: Collection[str] = (),
        values: Mapping[str, str] | None = None,
        override: str | None = None,
    ) -> Recorded:
        """Decide about a command and record it.

        `expected` are tapes that it must be about, by their names: OtherTapesError when it is not.
        `values` are more values for its jobs, of the operator. `override` is his reason why this
        order, of one tape as it is now, needs no proof of a copy: OverriddenAlreadyError when
        another order waits with one for the same tape.
        """
        (located,) = await self.locator.locate([command])
        tapes = located.found.tapes
        names = {tape.name for tape in tapes}
        if located.problem is None and set(expected) - names:
            raise OtherTapesError(sorted(names))
        now = datetime.fromtimestamp(self.clock.seconds()).astimezone()
        intake = settle(self.policy.current, located, now)
        if values:
            jobs = (evolve(job, values={**job.values, **values}) for job in intake.jobs)
            intake = evolve(intake, jobs=tuple(jobs))

        def record(tx: Transaction) -> Recorded:
            if override is not None and len(intake.jobs) == 1:
                require_no_override(tx, tapes[0])
            recorded = tx.requests.record(intake)
            if override is not None and len(recorded.jobs) == 1:
                by, at = command.actor or "operator", self.clock.seconds()
                tx.tapes.save_files(tapes, at)
                tx.orders.set_override(tapes[0], override, by, at, job=recorded.jobs[0].id)
            return recorded

        return await self.ledger.write(record)
