"""What the decoders of all formats have in common: limits, counts, and the items they hand out."""

from vtspolicy.events.event import Item, Refusal
from vtspolicy.events.header import refused_cut
from vtspolicy.events.limits import Counted, Limits

UNPRINTED = b"\x00\x07"
"""NUL and BEL, which can be anywhere in what a host sends and belong to no text."""


class FormatDecoder:
    """The part of a `Decoder` that does not depend on the format."""

    def __init__(
        self,
        *,
        only_candidates: bool = True,
        limits: Limits | None = None,
        counted: Counted | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.counted = counted or Counted()
        self._only_candidates = only_candidates
        self._is_cut = False  # what is read now may lack its end
        self._out: list[Item] = []

    def _take(self) -> list[Item]:
        """Return what has become ready since the last call."""
        out = self._out
        if out:
            self._out = []
            return out
        return []

    def _refuse(
        self,
        kind: str,
        reason: str,
        *,
        column: int | None = None,
        text: str | None = None,
        answered: bool = True,
        id: str | None = None,  # noqa: A002 (the field's name)
    ) -> None:
        """Count and hand out a refusal; `Refusal` has the meaning of the arguments."""
        self.counted.refuse(kind)
        refusal = Refusal(
            kind=kind, reason=reason, column=column, text=text, answered=answered, id=id
        )
        self._out.append(refusal)

    def _refuse_long_line(self, limit: int) -> None:
        self._refuse("line", f"a line longer than {limit} bytes: it was skipped")

    def _refuse_long_text(self, id: str | None = None) -> None:  # noqa: A002 (the field's name)
        limit = f"the text is longer than the {self.limits.text} bytes that an event can have"
        self._refuse("event", limit, id=id)

    def _refuse_cut(self, raw: bytes, text: str) -> None:
        self._refuse("cut", refused_cut(raw), text=text)
