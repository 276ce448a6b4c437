r"""MEDIACOM: the list of pending mounts, and their acceptance and rejection.

Documented: `STATUS TAPEMOUNT [[\node.]number] [, DETAIL]`, the columns of the brief list with
their headings, the items of the detailed one, `ACCEPT TAPEMOUNT` and `REJECT TAPEMOUNT`, the
prompt `MC>`. Ours: the width of the columns, all messages, and what is shown when nothing is
pending, which a setting says.
"""

from vtspolicy.testing.nonstop.console import Console
from vtspolicy.testing.nonstop.dialogue import Ask, Break, Dialogue, EndOfFile
from vtspolicy.testing.nonstop.journal import MountRequest
from vtspolicy.testing.nonstop.lexical import shown
from vtspolicy.testing.nonstop.run_options import run_options
from vtspolicy.testing.nonstop.tacl import Tacl

_COLUMNS = (
    # first line, second line, width
    ("Tape", "Mount", 5),
    ("Tape", "Name", 6),
    ("Label", "Type", 10),
    ("", "Node or Device", 16),
    ("Write", "Prot", 5),
    ("", "Action Needed", 28),
)

DETAILS = (
    "Open Mode",
    "Tape Name",
    "Action",
    "Write Protected",
    "Label Type",
    "Pool Name",
    "Volume Catalog",
    "Tape Drive",
    "AVR System",
    "Tape Use",
    "Density",
    "Open Exclusion",
    "Comment",
    "Process Name",
    "Process (CPU,PIN)",
    "Define Class",
    "Define Name",
    "Program Name",
)
"""The items of a detailed list, in their order."""


def mediacom(tacl: Tacl, rest: str) -> Dialogue[str]:
    """Run MEDIACOM: with a command, or until EXIT."""
    console = tacl.console
    _options, command = run_options(shown(rest))
    if command.strip():
        tacl.failed = not _obey(console, command)
        return ""
    while True:
        try:
            command = yield Ask("MC> ")
        except (Break, EndOfFile):
            return ""
        if command.strip().upper() in ("EXIT", "E"):
            return ""
        if command.strip():
            _obey(console, command)


def _obey(console: Console, command: str) -> bool:
    for each in command.split(";"):
        verb, _, rest = each.strip().partition(" ")
        word, _, rest = rest.strip().partition(" ")
        if word.upper().rstrip(",") != "TAPEMOUNT" or verb.upper() not in _VERBS:
            console.show(f"{each.strip()}\n^\nExpecting STATUS, ACCEPT or REJECT TAPEMOUNT")
            return False
        detail = "," * word.endswith(",") + rest
        if not _VERBS[verb.upper()](console, detail):
            return False
    return True


def _status(console: Console, rest: str) -> bool:
    which, _, option = (part.strip() for part in rest.partition(","))
    if option.upper() not in ("", "DETAIL"):
        console.show(f"Expecting DETAIL, found {option}")
        return False
    system = console.system
    system.refresh()
    requests = [system.mounts[number] for number in sorted(system.mounts)]
    if which:
        number = _number(console, which)
        requests = [each for each in requests if each.number == number]
    if option:
        for request in requests:
            console.show(f"\n{detailed(request)}")
    else:
        console.show(brief(requests))
    if not requests and system.settings.nothing_pending:
        console.show(system.settings.nothing_pending)
    return True


def _accept(console: Console, rest: str) -> bool:
    number = _number(console, rest)
    if number is not None:
        console.system.mounted(number)
    return number is not None


def _reject(console: Console, rest: str) -> bool:
    number = _number(console, rest)
    if number is not None:
        console.system.rejected(number)
    return number is not None


_VERBS = {"STATUS": _status, "ACCEPT": _accept, "REJECT": _reject}


def _number(console: Console, text: str) -> int | None:
    text = text.strip().upper().removeprefix(f"{console.system.settings.name.upper()}.")
    if text.isdecimal() and int(text) in console.system.mounts:
        return int(text)
    console.show(f"There is no tape mount request {text}")
    return None


def brief(requests: list[MountRequest]) -> str:
    """Return the brief list."""
    rows = [
        [first for first, _, _ in _COLUMNS],
        [second for _, second, _ in _COLUMNS],
        ["-" * width for _, _, width in _COLUMNS],
    ]
    for each in requests:
        protected = "YES" if each.write_protected else "NO"
        rows.append(
            [f"{each.number:5d}", each.tape, each.label, each.device, protected, each.action]
        )
    widths = [width for _, _, width in _COLUMNS]
    return "\n".join(
        " ".join(f"{value:<{width}}" for value, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def detailed(request: MountRequest) -> str:
    """Return the vertical list of one request; items without a value are not there."""
    values = {
        "Tape Name": request.tape,
        "Action": request.action,
        "Write Protected": "YES" if request.write_protected else "NO",
        "Label Type": request.label,
        "Tape Drive": request.device,
        **request.details,
    }
    lines = [f"{'Tape Mount':<20}{request.number}"]
    lines += [f"{name:<20}{values[name]}" for name in DETAILS if name in values]
    return "\n".join(lines)
