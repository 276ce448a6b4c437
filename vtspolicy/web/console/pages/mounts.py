"""Mounts that wait for their tape, and locks with who holds them and who waits."""

from vtspolicy.ledger import MountRecords
from vtspolicy.records import plain, typed
from vtspolicy.status import Status
from vtspolicy.web.console.asking import Ask, Page, Server


async def mounts(server: Server, ask: Ask) -> Page:
    """Show what hosts wait for, and what jobs wait for one another."""
    status = typed(await server.control.status(), Status)
    found = await server.ledger.browse(MountRecords.open)
    seen = [each for each in found if ask.sight.sees(each.host)]
    return Page(
        template="mounts.html",
        title="Mounts and locks",
        about={"mounts": seen, "locks": status.queue.locks if ask.sight.is_whole else None},
        rows=[plain(each) for each in seen],
        name="mounts",
    )
