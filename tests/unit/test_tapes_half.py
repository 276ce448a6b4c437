"""Half of a restore is on a tape: an operator empties it, or an application says it has it."""

import pytest
from attrs import evolve

from vtspolicy.engine.tapes.checks import sha256
from vtspolicy.tapes import (
    Act,
    Facts,
    Fingerprint,
    Mark,
    Reason,
    Refused,
    Tape,
    judge,
)

EMPTY = Fingerprint(vault="VAULT01", size=0, mtime_ns=2, inode=7, ctime_ns=2)
HALF = evolve(EMPTY, size=2048, mtime_ns=3, ctime_ns=3)
TAPE = Tape(
    vault="VAULT01",
    pool="PAY",
    cartridge="A00017",
    path="/v/PAY/A00017",
    size=2048,
    written=HALF.written,
    seen=HALF,
    held=1,
    migrated=1.0,
    handle="H1",
    application="DSK",
    erased=2.0,
    restoring=3.0,
    partial=HALF,
)


def test_a_tape_that_is_being_restored_is_not_marked_as_copied():
    begun = evolve(TAPE, size=0, seen=EMPTY, partial=None)
    ruling = judge(Act.MARK_MIGRATED, Facts(tape=begun, mark=Mark(size=4096, application="DSK")))
    assert isinstance(ruling, Refused)
    assert ruling.reason is Reason.HALF_RESTORED


@pytest.mark.parametrize(
    ("told", "taken"),
    [("AB" * 32, "ab" * 32), ("ab" * 32, "ab" * 32), ("ab" * 16, None), ("yes", None), ("", None)],
)
def test_only_a_sha256_is_taken_for_the_digest_of_a_copy(told, taken):
    assert sha256(told) == taken
    assert sha256(None) is None
