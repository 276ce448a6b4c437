"""When a session last received something, and for how long its reading was paused."""

from attrs import define
from twisted.internet.interfaces import IReactorTime


@define
class ReadActivity:
    """Noted at each read and each pause; reported to the metrics from time to time."""

    _clock: IReactorTime
    _heard: float | None = None  # when something last came in, if that was not reported yet
    _paused: float | None = None  # since when nothing is taken; None while it is
    _waited: float = 0.0  # seconds of pauses that were not reported yet
    last: float = 0.0  # when something last came in; 0 if nothing ever did

    def came(self) -> None:
        """Something came in."""
        self._heard = self.last = self._clock.seconds()

    def pause(self) -> None:
        """Nothing is taken from now on."""
        self._paused = self._clock.seconds()

    def resume(self) -> None:
        """What comes in is taken again."""
        self._reckon()
        self._paused = None

    def report(self) -> tuple[float | None, float]:
        """Return what is new: when something last came in, and the seconds of pauses."""
        if self._paused is not None:
            self._reckon()
            self._paused = self._clock.seconds()
        told = self._heard, self._waited
        self._heard, self._waited = None, 0.0
        return told

    def _reckon(self) -> None:
        """Add the pause under way; a clock that is set back must not make it negative."""
        if self._paused is not None:
            self._waited += max(self._clock.seconds() - self._paused, 0.0)
