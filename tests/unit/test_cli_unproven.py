"""Which tapes a person should look at: their last content may be nowhere else."""

import pytest
from attrs import evolve

from vtspolicy.cli.tape_page import is_unproven, why_emptied_unproven
from vtspolicy.tapes import Copy, Proof, Tape, VaultFeatures

PLACE = {"vault": "VAULT01", "pool": "PAY", "cartridge": "A00017", "path": "/v/PAY/A00017"}
EMPTIED = Tape(**PLACE, size=0, held=1, handle="H1", application="DSK", migrated=1.0, erased=2.0)
FOUND = Copy(
    **PLACE, id=1, source="/v/PAY/A00017", application="DSK", handle="H1", proof=Proof.FOUND
)
LOST = evolve(FOUND, lost=3.0)


@pytest.mark.parametrize(
    ("tape", "copy", "why"),
    [
        (EMPTIED, FOUND, None),
        (EMPTIED, LOST, "it is empty, and DSK has lost its copy H1"),
        (EMPTIED, evolve(FOUND, proof=Proof.RECORDED), "its copy H1 was never found in DSK"),
        (EMPTIED, evolve(FOUND, doubt="it was open"), "its copy H1 was never found in DSK"),
        (EMPTIED, evolve(LOST, id=2), None),  # an older copy
        (evolve(EMPTIED, erased=None, migrated=None, handle=None, held=None), LOST, None),
    ],
)
def test_an_emptied_tape_is_listed_when_its_copy_is_lost_or_was_never_found(tape, copy, why):
    found = why_emptied_unproven(tape, [copy])
    assert (found is None) if why is None else (why in found)
    assert is_unproven(tape, [copy], VaultFeatures()) is (why is not None)
