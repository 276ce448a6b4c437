"""Logging on to a host: dialogues as data, and a small machine that follows one.

Pure: it is given what the host shows and answers what to type. `Enter Choice>`, `TACL 1>`,
`login:`, `SAFEGUARD 1>`, `Password:` and `LOGON` are documented by the makers, and so are `Invalid
username or password` and that the original knows these logins; the rest of the dialogues is our
decision, which a site can replace.
"""

import re

from attrs import field, frozen

from vtspolicy.visible import visible

TAIL = 4096
"""Characters of what a host shows that are kept: prompts are at the end."""

SHOWN = 200
"""Characters of it that an error shows."""

TIMEOUT = 5.0
"""Seconds in which an answer of the host is expected (the original's own default)."""

HIDDEN = "***"


class DialogueError(ValueError):
    """A login dialogue is not one; the message says what is wrong and what is right."""


@frozen(kw_only=True)
class Step:
    """One step: when the end of what is shown matches, something is typed."""

    expect: str  # a regular expression on the end of what is shown since the last answer
    send: str | None = None  # with {user} and {password}; None: the host has let us in
    within: float = TIMEOUT  # seconds until it has to come
    optional: bool = False  # whether the host may leave it out

    @property
    def sends_password(self) -> bool:
        """Whether the password is typed."""
        return self.send is not None and "{password}" in self.send

    def problems(self) -> list[str]:
        """Return what is wrong with it."""
        found = []
        try:
            if re.search(f"(?:{self.expect})\\Z", "") is not None:
                found.append("expect matches nothing, so it would be answered at once")
        except re.error as error:
            found.append(f"expect is not a regular expression: {error}")
        if self.sends_password and "assword" not in self.expect and "ASSWORD" not in self.expect:
            found.append("the password is sent only where expect names a password")
        places = set(re.findall(r"\{(.*?)\}", self.send or "")) - {"user", "password"}
        if places:
            known = "{user} and {password}"
            found.append(f"there is no {{{min(places)}}}; places are {known}")
        return found


@frozen(kw_only=True)
class LoginDialogue:
    """A way to log on."""

    name: str
    steps: tuple[Step, ...]
    refused: str  # a regular expression on what is shown if user or password is not accepted

    @property
    def sends_password(self) -> bool:
        """Whether a password is typed in it."""
        return any(step.sends_password for step in self.steps)

    def problems(self) -> list[str]:
        """Return what is wrong with it."""
        found = [
            f"step {number} of {self.name}: {problem}"
            for number, step in enumerate(self.steps, 1)
            for problem in step.problems()
        ]
        return found + self.problems_of_all()

    def problems_of_all(self) -> list[str]:
        """Return what is wrong with it as a whole."""
        found = []
        ends = [step for step in self.steps if step.send is None]
        if ends != list(self.steps[-1:]) or self.steps[-1].optional:
            found.append(
                f"{self.name}: the last step, and no other, expects a prompt and sends nothing"
            )
        try:
            if re.search(self.refused, "") is not None:
                found.append(f"{self.name}: refused matches nothing, so all would be refused")
        except re.error as error:
            found.append(f"{self.name}: refused is not a regular expression: {error}")
        return found


REFUSED = r"(?i)invalid username or password|\bfrozen\b|access denied|login incorrect"
PROMPT = r"\d+> ?"

_MENU = r"Enter Choice> ?"
_PASSWORD = Step(expect=r"[Pp]assword: ?", send="{password}")
_LET_IN = Step(expect=PROMPT, within=20.0)

DIALOGUES = {
    dialogue.name: dialogue
    for dialogue in (
        LoginDialogue(
            name="tacl",
            refused=REFUSED,
            steps=(
                Step(expect=_MENU, send="TACL", optional=True),
                Step(expect=r"TACL \d+> ?", send="LOGON {user}"),
                _PASSWORD,
                _LET_IN,
            ),
        ),
        LoginDialogue(
            name="tacls",
            refused=REFUSED,
            steps=(
                Step(expect=_MENU, send="TACLS", optional=True),
                Step(expect=r"login: ?", send="{user}"),
                _PASSWORD,
                _LET_IN,
            ),
        ),
        LoginDialogue(
            name="xygate",
            refused=REFUSED,
            steps=(
                Step(expect=_MENU, send="TACL", optional=True),
                Step(expect=r"TACL \d+> ?", send="LOGON {user}"),
                _PASSWORD,
                _LET_IN,
            ),
        ),
        LoginDialogue(
            name="safeguard",
            refused=REFUSED,
            steps=(
                Step(expect=_MENU, send="LOGON", optional=True),
                Step(expect=r"SAFEGUARD \d+> ?", send="LOGON {user}"),
                _PASSWORD,
                _LET_IN,
            ),
        ),
        LoginDialogue(name="ssh-tacl", refused=REFUSED, steps=(_LET_IN,)),
    )
}
"""The dialogues that come with the program, by name."""


@frozen
class Send:
    """Type this line."""

    text: str = field(repr=False)  # may be the password


@frozen
class LoggedOn:
    """The host has let us in."""


@frozen
class Refused:
    """The host does not accept user or password."""

    error: str


@frozen
class NoPrompt:
    """An expected prompt did not come."""

    error: str


Answer = Send | LoggedOn | Refused | NoPrompt


class Login:
    """Follows a dialogue once."""

    def __init__(self, dialogue: LoginDialogue, *, user: str, password: str) -> None:
        """Begin. Raises DialogueError."""
        problems = dialogue.problems()
        if problems:
            raise DialogueError("; ".join(problems))
        for what, text in (("user", user), ("password", password)):
            if not text.isprintable():
                raise DialogueError(f"the {what} holds a character that cannot be typed")
        self._dialogue = dialogue
        self._user, self._password = user, password
        self._at = 0  # the step that is expected
        self._last = len(dialogue.steps) - 1
        self._shown = ""
        self._has_sent_password = False

    @property
    def within(self) -> float:
        """Seconds in which the host has to show what is expected now."""
        return self._dialogue.steps[self._at].within

    @property
    def prompt(self) -> str:
        """The last line that the host shows."""
        return self._shown.rpartition("\n")[2]

    def take(self, text: str) -> Answer | None:
        """Take what the host shows; return what to do, or None: wait for more."""
        self._shown = (self._shown + text)[-TAIL:]
        if self._has_sent_password and re.search(self._dialogue.refused, self._shown):
            return Refused(f"the host did not accept {self._user}: {self.what_came()}")
        step = self._reached()
        if step is None:
            return None
        if step.send is None:
            return LoggedOn()
        self._shown = ""
        if step.sends_password:
            self._has_sent_password = True
        # A password is never searched for places of others.
        parts = re.split(r"(\{user\}|\{password\})", step.send)
        values = {"{user}": self._user, "{password}": self._password}
        return Send("".join(values.get(part, part) for part in parts))

    def _reached(self) -> Step | None:
        """Return the expected step whose prompt is at the end."""
        for step in self._expected():
            if re.search(rf"(?:{step.expect})\Z", self._shown):
                self._at = min(self._dialogue.steps.index(step, self._at) + 1, self._last)
                return step
        return None

    def _expected(self) -> list[Step]:
        """Return the steps that may come now: the next one, and those behind optional ones."""
        steps = self._dialogue.steps[self._at :]
        needed = next(number for number, step in enumerate(steps) if not step.optional)
        return list(steps[: needed + 1])

    def timed_out(self) -> NoPrompt:
        """Return what to say when nothing more has come in time."""
        expected = " or ".join(visible(step.expect) for step in self._expected())
        return NoPrompt(f"expected {expected} within {self.within:g} s; {self.what_came()}")

    def what_came(self) -> str:
        """Return the end of what the host has shown, visible and without the password."""
        shown = self._shown
        if self._password:
            shown = shown.replace(self._password, HIDDEN)
        lines = [line.strip() for line in re.split(r"[\r\n]+", shown) if line.strip()]
        text = visible(" / ".join(lines))
        if not text:
            return "nothing came"
        return f"came: {'...' * (len(text) > SHOWN)}{text[-SHOWN:]}"
