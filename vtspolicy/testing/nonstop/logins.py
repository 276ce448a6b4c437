"""The ways in which a simulated system asks people who they are, as data.

What is documented: the menu of services with `Enter Choice>`, or TACL at once where none is
configured; the prompts `TACL 1>` and `SAFEGUARD 1>` and the command `LOGON GROUP.USER` at them;
`Password:`, which is not echoed; that Safeguard understands `LOGON`, `PAUSE` and `TIME` alone
there; `Invalid username or password`, which does not say which; and what XYGATE says of a frozen
account. That the original knows the logins TACL, TACLS (`login:`), XYGATE and SAFEGUARD is
documented, too. Everything else is ours: which service leads to which login, and all other texts.
"""

from attrs import frozen

INVALID = "*ERROR* Invalid username or password"
"""What is said of a wrong name or password (documented)."""


@frozen(kw_only=True)
class Login:
    """One way to log on."""

    name: str
    prompt: str  # asks for the user; {n} is a number that grows
    takes_logon: bool = True  # whether the user is given as `LOGON NAME`, and not as a name alone
    services: tuple[str, ...] = ()  # offered by the menu before it; the first leads here
    other: str = ""  # said of anything but a logon
    frozen_text: str = INVALID  # said when the password is right and the account is frozen


LOGINS = {
    login.name: login
    for login in (
        Login(
            name="tacl",
            prompt="TACL {n}> ",
            services=("TACL", "EXIT"),
            other="*ERROR* Not logged on; use LOGON",
        ),
        Login(name="tacls", prompt="login: ", takes_logon=False, services=("TACLS", "EXIT")),
        Login(
            name="xygate",
            prompt="TACL {n}> ",
            services=("TACL", "EXIT"),
            other="*ERROR* Not logged on; use LOGON",
            frozen_text="Userid frozen, access denied",
        ),
        Login(
            name="safeguard",
            prompt="SAFEGUARD {n}> ",
            services=("LOGON", "EXIT"),
            other="Expecting: LOGON, PAUSE or TIME",
        ),
    )
}
"""All logins, by name. SSH asks by itself, and TACL then starts logged on."""
