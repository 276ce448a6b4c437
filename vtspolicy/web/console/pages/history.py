"""History: who did what, when and why. It is only ever added to."""

from vtspolicy.ledger import Overview
from vtspolicy.records import plain
from vtspolicy.web.console.asking import Ask, Page, Server
from vtspolicy.web.console.pages import filters

_FILTERS = {
    "actor": filters.word,
    "subject": filters.word,
    "since": filters.time,
    "until": filters.time,
    "people": filters.word,
    "before": filters.number,
}
_NO_PEOPLE = ("engine", "cleanup")


async def history(server: Server, ask: Ask) -> Page:
    """Show lines of the history, the newest first.

    Lines are about requests of all hosts: who may see only some of them is shown no history here,
    but that of each request, job and tape on its page.
    """
    given = filters.read(ask, _FILTERS)
    limit, before = given.pop("limit"), given.pop("before", None)
    people_only = given.pop("people", None) is not None
    is_whole = "*" in ask.person.hosts
    entries = (
        await server.ledger.browse(
            Overview.history_before,
            before,
            **given,
            without=_NO_PEOPLE if people_only else (),
            limit=limit,
        )
        if is_whole
        else []
    )
    return Page(
        template="history.html",
        title="History",
        about={
            "entries": entries,
            "is_whole": is_whole,
            "next": entries[-1].number if len(entries) == limit else None,
        },
        rows=[plain(each.line) for each in entries],
        name="history",
    )
