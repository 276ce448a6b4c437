"""The dialogues before TACL: the menu of services, and the logon.

What of them is documented stands in `logins`. A blind password is asked for on a line of its own;
one that is given on the LOGON line is refused, as BLINDLOGON does, which is documented: it was
echoed, and the system remembers that it was exposed. After three failures in a row there is no
answer for a minute (documented).
"""

from vtspolicy.testing.nonstop.accounts import Verdict
from vtspolicy.testing.nonstop.console import Console
from vtspolicy.testing.nonstop.dialogue import Ask, Break, Dialogue, EndOfFile, Wait
from vtspolicy.testing.nonstop.logins import INVALID, Login
from vtspolicy.testing.nonstop.system import System

FAILURES = 3
"""Failed logons in a row after which there is a pause (documented)."""

_EXIT = "EXIT"


def say_time(system: System) -> str:
    """Return the time as `TIME` shows it before a logon; the form is documented."""
    return f"{system.local(system.settings.now()):%d %b %Y, %H:%M:%S}".upper()


def choose(console: Console) -> Dialogue[bool]:
    """Let a service be chosen; False: none is wanted."""
    settings = console.system.settings
    services = settings.login.services if settings.services is None else settings.services
    if not services:
        return True
    console.show("\nAvailable Services:\n\n" + "     ".join(services))
    while True:
        try:
            answer = (yield Ask("Enter Choice> ")).strip().upper()
        except (Break, EndOfFile):
            continue
        if answer == _EXIT:
            return False
        if answer in services:
            return True
        console.show(f"There is no service {answer}" if answer else "")


def log_on(console: Console) -> Dialogue[bool]:
    """Ask who is there until somebody is logged on; False: nobody wants to be."""
    login, number, failures = console.system.settings.login, 0, 0
    while True:
        number += 1
        try:
            line = (yield Ask(login.prompt.format(n=number))).strip()
            word, _, name = line.partition(" ")
            if login.takes_logon and word.upper() != "LOGON":
                if word.upper() == _EXIT:
                    return False
                if word:
                    console.show(
                        say_time(console.system) if word.upper() == "TIME" else login.other
                    )
                continue
            if not line:
                continue
            if (yield from take_logon(console, login, name if login.takes_logon else line)):
                return True
        except (Break, EndOfFile):
            continue
        failures += 1
        if failures % FAILURES == 0:
            yield Wait(seconds=console.system.settings.logon_pause, is_deaf=True)


def take_logon(console: Console, login: Login, name: str) -> Dialogue[bool]:
    """Take the name of a LOGON, ask for the password, and answer."""
    system = console.system
    user, _, exposed = name.strip().partition(",")
    if exposed and not name.replace(",", "").strip().isdecimal():
        system.exposed.append(user.strip())
        console.show("*ERROR* The password is asked for on a line of its own")
        return False
    password = yield Ask("Password: ", hidden=True)
    verdict, account = system.log_on(name, password)
    if verdict is not Verdict.RIGHT or account is None:
        console.show(login.frozen_text if verdict is Verdict.FROZEN else INVALID)
        return False
    greet(console)
    console.account = account
    return True


def greet(console: Console) -> None:
    """Say what a host says behind a logon: lines with dates, which are no events (ours)."""
    system = console.system
    console.show(
        f"Last Logon: {say_time(system)[:-3]}\nGood Morning. Welcome to {system.settings.name}"
    )
