"""Rules: the table in force."""

from vtspolicy.records import typed
from vtspolicy.status import Status
from vtspolicy.web.console.asking import Ask, Page, Server


async def rules(server: Server, _ask: Ask) -> Page:
    """Show the rules in their order."""
    table = server.policy().table
    status = typed(await server.control.status(), Status)
    rows = [
        {
            "number": number,
            "rule": rule.name,
            "families": ", ".join(rule.families or ()) or "any",
            "application": rule.work.application if rule.work is not None else None,
            "then": rule.work.then if rule.work is not None else None,
            "deny": rule.deny,
        }
        for number, rule in enumerate(table.rules, 1)
    ]
    return Page(
        template="rules.html",
        title="Rules",
        about={"rules": rows, "hash": table.hash, "refused": status.refused_reload},
        rows=rows,
        name="rules",
    )
