"""Tapes: where the data of each is, its copies, and what would be said of an erase."""

from urllib.parse import unquote

from vtspolicy.cli.tape_page import PROOFS, what_is_missing
from vtspolicy.config.people import Right
from vtspolicy.jobs import Job, Transition
from vtspolicy.ledger import Transaction
from vtspolicy.ledger.tapes import TapeCount
from vtspolicy.records import plain
from vtspolicy.tapes import Copy, Tape, VaultFeatures
from vtspolicy.web.console.asking import Ask, Page, Server, not_seen
from vtspolicy.web.console.pages import filters

JOBS = 20
"""Jobs about a tape that its page shows."""

_FILTERS = {
    "vault": filters.word,
    "pool": filters.word,
    "name": filters.word,
    "after": filters.word,
}


async def several(server: Server, ask: Ask) -> Page:
    """Show tapes by their names."""
    given = filters.read(ask, _FILTERS)
    configuration = server.policy().configuration

    def look(tx: Transaction) -> tuple[list[Tape], list[TapeCount]]:
        if (name := given.get("name")) is not None:
            return tx.tapes.named(name.upper()), tx.tapes.counts()
        found = tx.tapes.find(
            vault=given.get("vault"),
            pool=given.get("pool"),
            after=given.get("after", ""),
            limit=given["limit"],
        )
        return found, tx.tapes.counts()

    found, counts = await server.ledger.browse(look)
    seen = [each for each in found if ask.sight.sees_vault(each.vault, configuration.hosts)]
    return Page(
        template="tapes.html",
        title="Tapes",
        about={
            "tapes": seen,
            "left_out": len(found) - len(seen),
            "counts": counts if ask.sight.is_whole else [],
            "vaults": [
                each
                for each in configuration.vaults
                if ask.sight.sees_vault(each, configuration.hosts)
            ],
            "next": found[-1].path if len(found) == given["limit"] else None,
        },
        rows=[_row(each) for each in seen],
        name="tapes",
    )


async def one(server: Server, ask: Ask) -> Page:
    """Show all about one tape."""
    vault, pool, cartridge = (unquote(ask.found[each]) for each in ("vault", "pool", "cartridge"))
    name = f"/{vault}/{pool}/{cartridge}"
    configuration = server.policy().configuration

    def look(
        tx: Transaction,
    ) -> tuple[Tape, list[Copy], list[Transition], list[Job], VaultFeatures]:
        known = [each for each in tx.tapes.named(cartridge) if each.name == name]
        if not known or not ask.sight.sees_vault(vault, configuration.hosts):
            raise not_seen("tape", name)
        features = tx.meta.vault_features().get(vault, VaultFeatures())
        jobs = tx.jobs.find(tape=name, limit=JOBS, hosts=ask.hosts(configuration.hosts))
        return (
            known[0],
            tx.copies.of_tape(known[0].path),
            tx.history.about(f"tape {name}"),
            jobs,
            features,
        )

    tape, copies, history, jobs, features = await server.ledger.browse(look)
    return Page(
        template="tape.html",
        title=name,
        about={
            "tape": tape,
            "copies": [
                {
                    "record": each,
                    "proof": PROOFS[each.proof],
                    "missing": what_is_missing(tape, each, features),
                }
                for each in copies
            ],
            "history": history if ask.person.may(Right.HISTORY) else None,
            "jobs": jobs,
        },
    )


def _row(tape: Tape) -> dict[str, object]:
    row: dict[str, object] = plain(tape)
    kept = ("vault", "pool", "cartridge", "size", "written", "migrated", "erased", "restored")
    return {"state": tape.state.value} | {key: row[key] for key in kept}
