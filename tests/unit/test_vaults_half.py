"""A copying into an empty tape that did not end: whose it is what stands on the tape."""

import pytest

from vtspolicy.grammar import Target
from vtspolicy.vaults import Vaults, Whose

TOKEN = "vts-210e5a9b-19-16-1"
WHOLE = bytes(range(250)) * 80


@pytest.mark.parametrize(
    ("left", "whose", "size"),
    [
        (b"", Whose.NOBODYS, 0),
        (WHOLE[:8192], Whose.NOBODYS, 0),  # it ends with a page: ours, and removed
        (WHOLE[:250], Whose.UNKNOWN, 250),
        (b"other", Whose.HOSTS, 5),
        (WHOLE + b"more", Whose.HOSTS, len(WHOLE) + 4),
    ],
)
def test_what_may_be_a_hosts_is_not_taken_for_one_and_not_removed(tmp_path, left, whose, size):
    path = tmp_path / "PAY" / "A00017"
    path.parent.mkdir()
    path.touch()
    vaults = Vaults({"VAULT01": tmp_path})
    place = Target(vault="VAULT01", pool="PAY", cartridge="A00017")
    (tape,) = vaults.find(place).tapes
    with open(vaults.new_target(tape, TOKEN), "wb") as target:  # noqa: PTH123
        target.write(WHOLE)
    vaults.begin_copying(tape, tape.seen, TOKEN)
    with path.open("ab") as file:
        file.write(left)
    half = vaults.undo_copying(tape, TOKEN)
    assert half is not None
    assert (half.whose, path.stat().st_size) == (whose, size)
