"""FUP: copies lines from the terminal to the collector, where they become events.

Documented: text written plainly to `$0`, which is what FUP does, is `TANDEM.EMS` 512 and is cut at
102 bytes. Ours: `COPY` is how it is asked for, Control-Y ends the input, `-` is the prompt; all
messages; nothing but COPY from the home terminal to `$0` is simulated.
"""

from vtspolicy.testing.nonstop.console import Console
from vtspolicy.testing.nonstop.dialogue import Ask, Break, Dialogue, EndOfFile
from vtspolicy.testing.nonstop.lexical import shown
from vtspolicy.testing.nonstop.run_options import run_options
from vtspolicy.testing.nonstop.tacl import Tacl


def fup(tacl: Tacl, rest: str) -> Dialogue[str]:
    """Run FUP: with a command, or until EXIT."""
    _options, command = run_options(shown(rest))
    if command.strip():
        tacl.failed = not (yield from _obey(tacl.console, command))
        return ""
    while True:
        try:
            command = yield Ask("-")
        except (Break, EndOfFile):
            return ""
        if command.strip().upper() in ("EXIT", "E"):
            return ""
        if command.strip():
            yield from _obey(tacl.console, command)


def _obey(console: Console, command: str) -> Dialogue[bool]:
    for each in command.split(";"):
        verb, _, rest = each.strip().partition(" ")
        source, comma, target = (part.strip() for part in rest.partition(","))
        homes = ("", "$HOME", console.window.upper())
        target = target.upper().removeprefix(f"{console.system.settings.name.upper()}.")
        if verb.upper() != "COPY" or not comma or target != "$0" or source.upper() not in homes:
            console.show(f"{each.strip()}\n^\nOnly COPY from the home terminal to $0 is simulated")
            return False
        copied = 0
        try:
            while True:
                console.system.write_plainly((yield Ask()))
                copied += 1
        except EndOfFile:
            console.show(f"{copied} RECORDS TRANSFERRED")
    return True
