"""Which path shows which page, who may see it, and what stands in the navigation."""

import re
from collections.abc import Awaitable, Callable

from attrs import define, field

from vtspolicy.config.people import Right
from vtspolicy.web.console.asking import Ask, Page, Server
from vtspolicy.web.console.pages import (
    applications,
    history,
    hosts,
    jobs,
    mounts,
    orders,
    requests,
    rules,
    system,
    tapes,
    tonight,
)

_PARTS = {
    "{number}": r"(?P<number>[1-9][0-9]{0,18})",
    "{vault}": r"(?P<vault>[A-Za-z0-9_-]{1,64})",
    "{pool}": r"(?P<pool>[^/]{1,255})",
    "{cartridge}": r"(?P<cartridge>[^/]{1,255})",
}


@define
class Route:
    """One path, where a name in braces stands for a part that varies."""

    path: str
    view: Callable[[Server, Ask], Awaitable[Page | str]]  # a text is where a form leads to
    right: Right | None = Right.READ  # what the person's role must allow
    form: re.Pattern[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        pattern = re.escape(self.path).replace(r"\{", "{").replace(r"\}", "}")
        for name, part in _PARTS.items():
            pattern = pattern.replace(name, part)
        self.form = re.compile(pattern, re.ASCII)


VIEWS = (
    Route("/", tonight.tonight, right=None),  # which leads an auditor to the history
    Route("/requests", requests.several),
    Route("/requests/{number}", requests.one),
    Route("/jobs", jobs.several),
    Route("/jobs/{number}", jobs.one),
    Route("/jobs/{number}/output", jobs.output),
    Route("/tapes", tapes.several),
    Route("/tapes/{vault}/{pool}/{cartridge}", tapes.one),
    Route("/mounts", mounts.mounts),
    Route("/hosts", hosts.hosts),
    Route("/rules", rules.rules),
    Route("/applications", applications.applications),
    Route("/history", history.history, right=Right.HISTORY),
    Route("/system", system.system),
)
"""Pages that are read."""

FORMS = (
    Route("/requests/{number}/cancel", orders.cancel_request, right=Right.ORDER),
    Route("/jobs/{number}/cancel", orders.cancel_job, right=Right.ORDER),
    Route("/jobs/retry", orders.retry, right=Right.ORDER),
)
"""What is ordered."""

NAVIGATION = (
    ("/", "Tonight", Right.READ),
    ("/requests", "Requests", Right.READ),
    ("/jobs", "Jobs", Right.READ),
    ("/tapes", "Tapes", Right.READ),
    ("/mounts", "Mounts and locks", Right.READ),
    ("/hosts", "Hosts", Right.READ),
    ("/rules", "Rules", Right.READ),
    ("/applications", "Applications", Right.READ),
    ("/history", "History", Right.HISTORY),
    ("/system", "System", Right.READ),
)
"""What stands on top of every page, with the right that it needs."""
