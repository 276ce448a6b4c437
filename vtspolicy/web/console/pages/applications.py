"""Applications: seats, who holds them, who waits."""

from vtspolicy.records import typed
from vtspolicy.status import Status
from vtspolicy.web.console.asking import Ask, Page, Server


async def applications(server: Server, _ask: Ask) -> Page:
    """Show the applications of the table, with what they do now."""
    status = typed(await server.control.status(), Status)
    table = server.policy().table
    uses = {each.application: each for each in status.queue.applications}
    rows = [
        {
            "application": name,
            "title": table.applications[name].title if name in table.applications else "",
            "seats": seats,
            "running": uses[name].running if name in uses else 0,
            "waiting": uses[name].waiting if name in uses else 0,
        }
        for name, seats in sorted(table.seats.items())
    ]
    return Page(
        template="applications.html",
        title="Applications",
        about={"applications": rows},
        rows=rows,
        name="applications",
    )
