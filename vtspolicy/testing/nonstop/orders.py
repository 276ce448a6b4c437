"""What a person can make a simulated system do while it runs: an order is a line."""

from collections.abc import Callable, Mapping

from vtspolicy.suggest import did_you_mean
from vtspolicy.testing.nonstop.system import System


class OrderError(ValueError):
    """An order was not understood, or is about something that is not there."""


def obey(system: System, line: str) -> str:
    """Obey one order and return what to say of it. Raises OrderError.

    A line that begins with `VTSPolicy` is an event, without an order before it.
    """
    text = line.strip()
    if text.startswith("VTSPolicy"):
        text = f"post {text}"
    word, _, rest = text.partition(" ")
    order = ORDERS.get(word)
    if order is None:
        hint = did_you_mean(word, ORDERS) or f"orders are {', '.join(ORDERS)}"
        raise OrderError(f'there is no order "{word}"; {hint}')
    return order[0](system, rest.strip())


def _post(system: System, rest: str) -> str:
    system.post(_needed(rest, "the text of an event"))
    return ""


def _plain(system: System, rest: str) -> str:
    system.write_plainly(_needed(rest, "the text of an event"))
    return ""


def _mount(system: System, rest: str) -> str:
    system.request_mount(_needed(rest, "the name of a tape"))
    return ""


def _mounted(system: System, rest: str) -> str:
    system.mounted(_request(system, rest))
    return ""


def _cancelled(system: System, rest: str) -> str:
    system.cancelled(_request(system, rest))
    return ""


def _thaw(system: System, rest: str) -> str:
    account = system.accounts.named(_needed(rest, "a user"))
    if account is None:
        raise OrderError(f"there is no user {rest}")
    system.thaw(account.user)
    return ""


def _links(system: System, _rest: str) -> str:
    rows = (
        f"{link.session.console.window}  {_user(link)}  {link.sent} bytes sent,"
        f" {link.received} received"
        for link in system.links
    )
    return "\n".join(rows) or "no link is up"


def _user(link: object) -> str:
    account = link.session.console.account  # type: ignore[attr-defined]  # a Link
    return account.user if account else "not logged on"


def _all_links(act: str) -> Callable[[System, str], str]:
    def order(system: System, _rest: str) -> str:
        links = tuple(system.links)
        if not links:
            raise OrderError("no link is up")
        for link in links:
            getattr(link, act)()
        return ""

    return order


def _half(system: System, rest: str) -> str:
    pause = _seconds(rest) if rest else None
    for link in tuple(system.links):
        link.half_line(pause)
    return ""


def _slow(system: System, rest: str) -> str:
    seconds = _seconds(rest)
    for link in tuple(system.links):
        link.slow(seconds)
    return ""


def _help(_system: System, _rest: str) -> str:
    return "\n".join(f"{word:<10}{about}" for word, (_, about) in ORDERS.items())


def _needed(rest: str, what: str) -> str:
    if not rest:
        raise OrderError(f"{what} is missing")
    return rest


def _request(system: System, rest: str) -> int:
    if not rest.isdecimal() or int(rest) not in system.mounts:
        pending = ", ".join(map(str, sorted(system.mounts))) or "none"
        raise OrderError(f'"{rest}" is not a pending mount request; pending: {pending}')
    return int(rest)


def _seconds(rest: str) -> float:
    try:
        seconds = float(rest)
    except ValueError:
        raise OrderError(f'"{rest}" is not a number of seconds') from None
    if not 0 <= seconds < 86_400:
        raise OrderError("seconds are from 0 to 86399")
    return seconds


Order = Callable[[System, str], str]

ORDERS: Mapping[str, tuple[Order, str]] = {
    "post": (_post, "TEXT: generate an event"),
    "plain": (_plain, "TEXT: write it to $0 as FUP does, cut at 102 bytes"),
    "mount": (_mount, "TAPE: ask for a tape to be mounted"),
    "mounted": (_mounted, "NUMBER: close that request, the tape was mounted"),
    "cancelled": (_cancelled, "NUMBER: close that request, nobody waits any more"),
    "thaw": (_thaw, "USER: thaw an account that wrong passwords have frozen"),
    "links": (_links, "show the links that are up"),
    "hang": (_all_links("hang"), "let all links hang: they say and hear nothing"),
    "resume": (_all_links("resume"), "let links that hang go on"),
    "die": (_all_links("die"), "cut all links"),
    "half": (_half, "[SECONDS]: send half of the next line, the other half later or never"),
    "slow": (_slow, "SECONDS: wait before each answer of the links that are up"),
    "help": (_help, "show the orders"),
}
"""Every order: what it does, and what is said of it."""
