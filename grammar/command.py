"""A VTSPolicy command as it was understood, and the error when it was not."""

from collections.abc import Mapping

from attrs import field, frozen

VERBS_ON_REQUESTS = ("status", "cancel")
"""Operations that a server answers itself, without the rules: they are about a request."""


@frozen(kw_only=True)
class Target:
    """What a command is about: a pool, one cartridge of a pool, or a tape by its name alone."""

    vault: str | None = None  # VAULT01; None for a tape by its name
    pool: str | None = None  # PAYROLL; None for a tape by its name
    cartridge: str | None = None  # A00017; None for a whole pool

    @property
    def path(self) -> str | None:
        """The path as written in commands, `/VAULT01/PAYROLL[/A00017]`; None for a bare name."""
        if self.vault is None:
            return None
        return "/" + "/".join(part for part in (self.vault, self.pool, self.cartridge) if part)


@frozen(kw_only=True)
class Command:
    """One command of the language, however it was written."""

    family: str  # TSM, DSK, ...; for a verb the verb as written: Erase, Status, ...
    operation: str | None = None  # archive, selective or None; erase delete restore status cancel
    targets: tuple[Target, ...] = ()  # at least one, except for Status and Cancel
    keywords: Mapping[str, str] = field(factory=dict)  # long name -> value as written, without ref
    ref: str | None = None  # the host's own reference, repeated in every notice
    warnings: tuple[str, ...] = ()  # what was accepted although it is not right


class CommandError(ValueError):
    """A text that is not a command of the language: the place, what was expected, the remedy."""

    def __init__(
        self,
        *,
        column: int,
        message: str,
        hint: str | None = None,
        ref: str | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(message)
        self.column = column  # 1-based, in characters of the text as given
        self.message = message  # what was found and what was expected there
        self.hint = hint  # the nearest right word or the remedy
        self.ref = ref  # the host's reference if it can be read all the same, for the answer
        self.source = source  # the server that it is for, if readable: others do not answer
