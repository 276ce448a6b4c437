"""What is done when a host asks for a tape."""

from enum import StrEnum

from attrs import frozen

from vtspolicy.tapes.judge import Act, Allowed, Done, Facts, judge
from vtspolicy.tapes.tape import TapeState


class MountAction(StrEnum):
    """What is done about a host's request to mount a tape."""

    NOTE = "note"  # the mount continues
    RECALL = "recall"  # its data has to be brought back first
    FAIL = "fail"  # its data cannot be brought back: the host is told so
    LEAVE = "leave"  # the tape is not there to be mounted


@frozen
class MountAnswer:
    """What is done about a mount request, and why."""

    action: MountAction
    reason: str


def on_mount(facts: Facts) -> MountAnswer:
    """Return what to do when a host asks for a tape; the tape's file was just looked at."""
    tape = facts.tape
    if tape.state is TapeState.DELETED:
        return MountAnswer(MountAction.LEAVE, "its file is gone")
    if tape.size and not tape.is_half_restored:
        return MountAnswer(MountAction.NOTE, "it has its data")
    if tape.is_new and tape.doubted is None:
        return MountAnswer(MountAction.NOTE, "it was made anew after it was deleted")
    ruling = judge(Act.RESTORE, facts)
    if isinstance(ruling, Allowed):
        return MountAnswer(MountAction.RECALL, f"only {tape.application} has its data")
    if isinstance(ruling, Done):
        return MountAnswer(MountAction.NOTE, ruling.words)
    words = getattr(ruling, "words", "its data has to be looked for first")
    if tape.state is TapeState.ERASED or tape.doubted is not None:
        return MountAnswer(MountAction.FAIL, words)
    return MountAnswer(MountAction.NOTE, "it is empty, and no copy is of what it held")
