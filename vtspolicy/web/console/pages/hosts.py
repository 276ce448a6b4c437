"""Hosts: who is connected, who is silent, what waits for whom, and what each may do."""

from vtspolicy.records import typed
from vtspolicy.status import Status
from vtspolicy.web.console.asking import Ask, Page, Server


async def hosts(server: Server, ask: Ask) -> Page:
    """Show the configured hosts."""
    status = typed(await server.control.status(), Status)
    configured = server.policy().configuration.hosts
    pending = {each.host: each for each in status.pending}
    rows = [
        {
            "name": each.name,
            "connections": each.connections,
            "link": each.link.state if each.link is not None else None,
            "link_since": each.link.since if each.link is not None else None,
            "link_error": each.link.error if each.link is not None else None,
            "last_event": each.last_event,
            "pending": pending[each.name].count if each.name in pending else 0,
            "oldest": pending[each.name].oldest if each.name in pending else None,
        }
        for each in status.hosts
        if ask.sight.sees(each.name) and each.name in configured
    ]
    return Page(
        template="hosts.html",
        title="Hosts",
        about={"hosts": rows, "configured": configured},
        rows=rows,
        name="hosts",
    )
