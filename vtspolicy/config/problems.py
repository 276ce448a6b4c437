"""A problem in a file that a person wrote: where it is, what is wrong, and what to do."""

from collections.abc import Iterable

from attrs import frozen

from vtspolicy.visible import visible


@frozen(kw_only=True, order=True)
class Problem:
    """One thing that is wrong, or doubtful, in a configuration, rules, families or tests file."""

    file: str  # as the user named it; "command line" or "environment" for an override
    line: int  # 1-based
    column: int  # 1-based
    message: str  # what was found
    remedy: str = ""  # what is allowed, or the nearest right word
    warning: bool = False  # doubtful, but does not stop the program
    may_pass: bool = False  # a server may start later: a disk may not be mounted yet

    def __str__(self) -> str:
        """`file:line:column: message; remedy`, one line that a terminal can show."""
        kind = "warning: " if self.warning else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return visible(f"{self.file}:{self.line}:{self.column}: {kind}{self.message}{remedy}")


class ConfigurationError(Exception):
    """Files that cannot be used: all their problems at once, in the order of the files' lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    @property
    def may_pass(self) -> bool:
        """Whether all that is wrong may pass without a change by a person."""
        return all(problem.may_pass for problem in self.problems if not problem.warning)
