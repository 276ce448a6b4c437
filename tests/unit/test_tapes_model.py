"""Tapes: where their data is, when they may be emptied, what a mount of one needs."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy import tapes
from vtspolicy.catalogue import compare, named_twice
from vtspolicy.tapes import MountAction, Tape, TapeState, on_mount, why_not_empty, why_not_restore
from vtspolicy.testing.ledger import MemoryLedger

BARE = Tape(vault="VAULT01", pool="PAY", cartridge="A00017", path="/v/PAY/A00017")
WRITTEN = evolve(BARE, size=10, written=5.0)
MIGRATED = tapes.migrated(WRITTEN, at=100.0, handle="H", application="DSK", verified=True)
ERASED = tapes.emptied(MIGRATED, at=200.0, written=200.0, gone=False)
RESTORED = tapes.restored(evolve(ERASED, size=10, written=300.0), at=300.0)
OVERRIDDEN = evolve(WRITTEN, override="a trial", override_size=10, override_written=5.0)


@pytest.mark.parametrize(
    ("tape", "state"),
    [
        (BARE, TapeState.DELETED),
        (evolve(BARE, size=0, written=1.0), TapeState.SCRATCH),
        (WRITTEN, TapeState.WRITTEN),
        (MIGRATED, TapeState.MIGRATED),
        (evolve(MIGRATED, written=6.0), TapeState.WRITTEN),
        (ERASED, TapeState.ERASED),
        (RESTORED, TapeState.MIGRATED),
        (evolve(ERASED, restoring=250.0, size=4, written=251.0), TapeState.ERASED),
        (tapes.emptied(ERASED, at=400.0, written=None, gone=True), TapeState.DELETED),
        (tapes.emptied(OVERRIDDEN, at=9.0, written=9.0, gone=False), TapeState.SCRATCH),
    ],
)
def test_the_state_tells_where_the_data_is(tape, state):
    assert tape.state is state


@pytest.mark.parametrize(
    ("tape", "reason"),
    [
        (BARE, "no such tape"),
        (WRITTEN, "no verified copy"),
        (evolve(MIGRATED, size=11), "written after"),
        (evolve(MIGRATED, written=6.0), "written after"),
        (evolve(MIGRATED, locked=True), "locked"),
        (evolve(OVERRIDDEN, locked=True), "locked"),
        (evolve(MIGRATED, restoring=250.0), "restore"),
        (evolve(OVERRIDDEN, size=11), "written after that"),
        (MIGRATED, None),
        (ERASED, None),
        (OVERRIDDEN, None),
    ],
)
def test_the_gate_says_which_condition_fails(tape, reason):
    refusal = why_not_empty(tape)
    assert refusal is None if reason is None else reason in refusal


def test_an_override_is_spent_when_the_tape_is_emptied():
    after = tapes.emptied(OVERRIDDEN, at=9.0, written=9.0, gone=False)
    assert (after.override, after.override_size, after.override_written) == (None, None, None)


@pytest.mark.parametrize(
    ("tape", "recorded", "reason"),
    [
        (ERASED, ERASED, None),
        (RESTORED, RESTORED, None),
        (WRITTEN, WRITTEN, "no verified copy"),
        (evolve(MIGRATED, written=6.0), MIGRATED, "no verified copy"),
        (
            evolve(ERASED, restoring=1.0, size=4, written=2.0),
            evolve(ERASED, restoring=1.0, size=4, written=2.0),
            None,
        ),
        (
            evolve(ERASED, restoring=1.0, size=9, written=3.0),
            evolve(ERASED, restoring=1.0, size=4, written=2.0),
            "written after a restore",
        ),
    ],
)
def test_a_restore_is_refused_where_it_would_destroy_something(tape, recorded, reason):
    refusal = why_not_restore(tape, recorded)
    assert refusal is None if reason is None else reason in refusal


@pytest.mark.parametrize(
    ("tape", "action"),
    [
        (WRITTEN, MountAction.NOTE),
        (MIGRATED, MountAction.NOTE),
        (evolve(BARE, size=0), MountAction.NOTE),
        (ERASED, MountAction.RECALL),
        (evolve(ERASED, restoring=250.0, size=4), MountAction.RECALL),
        (BARE, MountAction.LEAVE),
    ],
)
def test_only_a_tape_that_was_emptied_after_its_migration_is_recalled(tape, action):
    assert on_mount(tape).action is action
    assert on_mount(tape).reason


def test_an_old_copy_is_not_brought_back_onto_a_tape_that_others_wrote_and_emptied():
    written = tapes.seen(MIGRATED, size=20, written=50.0, at=51.0)
    emptied = tapes.seen(written, size=0, written=60.0, at=61.0)
    assert on_mount(emptied).action is MountAction.NOTE


def test_a_tape_that_is_made_anew_after_a_delete_has_nothing_of_the_old_one():
    gone = tapes.emptied(MIGRATED, at=200.0, written=None, gone=True)
    anew = tapes.seen(gone, size=0, written=300.0, at=301.0)
    assert (anew.state, anew.deleted) == (TapeState.SCRATCH, None)
    back = tapes.seen(gone, size=10, written=5.0, at=301.0)
    assert back.state is TapeState.MIGRATED


def test_an_emptied_tape_whose_vault_was_away_is_still_an_emptied_one():
    away = tapes.seen(ERASED, size=None, written=None, at=300.0)
    there = tapes.seen(away, size=0, written=200.0, at=400.0)
    assert on_mount(there).action is MountAction.RECALL


some_time = st.none() | st.sampled_from([1.0, 5.0, 9.0])
some_tape = st.builds(
    lambda **given: evolve(BARE, **given),
    size=st.sampled_from([None, 0, 10, 11]),
    written=some_time,
    migrated=some_time,
    handle=st.sampled_from([None, "H"]),
    copied_size=st.sampled_from([None, 0, 10]),
    copied_written=some_time,
    rewritten=some_time,
    restoring=some_time,
    deleted=some_time,
)


@given(some_tape)
def test_the_ledger_counts_a_tape_by_the_state_that_it_has(tape):
    ledger = MemoryLedger()
    try:
        ledger.book.save_tape(tape)
        (counted,) = ledger.book.tape_counts()
        assert counted.state is tape.state
        assert (counted.count, counted.size, counted.freed) == (1, tape.size or 0, tape.freed)
        assert ledger.book.tape(tape.path) == tape
    finally:
        ledger.destroy()


@given(some_tape)
def test_whatever_is_emptied_unproven_is_never_recalled(tape):
    if tape.size and why_not_empty(tape) is not None:
        after = tapes.emptied(tape, at=99.0, written=99.0, gone=False)
        assert on_mount(after).action is not MountAction.RECALL


# -- what others did


def at(pool, size=10, written=5.0, cartridge="A00017"):
    return Tape(
        vault="VAULT01",
        pool=pool,
        cartridge=cartridge,
        path=f"/v/{pool}/{cartridge}",
        size=size,
        written=written,
    )


def changes(known, found, vaults=("VAULT01",)):
    return compare(known, found, vaults=vaults, at=500.0)


def test_a_tape_that_was_moved_takes_its_record_along():
    (change,) = changes([MIGRATED], [at("LEDGER")])
    assert change.told == "moved by others, from /VAULT01/PAY/A00017"
    assert (change.after.name, change.after.handle) == ("/VAULT01/LEDGER/A00017", "H")
    assert change.after.state is TapeState.MIGRATED


def test_a_copied_tape_is_not_taken_for_a_moved_one():
    (change,) = changes([MIGRATED], [at("PAY"), at("LEDGER")])
    assert (change.before, change.told) == (None, "added by others")


def test_added_removed_emptied_and_written_tapes_are_told_apart():
    assert [each.told for each in changes([], [at("PAY")])] == ["added by others"]
    assert [each.told for each in changes([MIGRATED], [])] == ["removed by others"]
    assert [each.told for each in changes([MIGRATED], [at("PAY", 0, 9.0)])] == ["emptied by others"]
    (written,) = changes([MIGRATED], [at("PAY", 11, 9.0)])
    assert (written.told, written.after.state) == (None, TapeState.WRITTEN)
    assert changes([MIGRATED], [at("PAY")]) == []


def test_nothing_is_believed_gone_from_a_vault_that_was_not_looked_through():
    assert changes([MIGRATED], [], vaults=()) == []


def test_half_a_restore_is_not_taken_for_a_write():
    half = evolve(ERASED, restoring=250.0)
    assert changes([half], [at("PAY", 4, 260.0)]) == []


def test_names_in_two_places_are_found():
    assert named_twice([at("PAY"), at("LEDGER"), at("PAY", cartridge="B00001")]) == {
        "A00017": ["/VAULT01/PAY/A00017", "/VAULT01/LEDGER/A00017"]
    }


def test_a_change_that_a_job_overtook_is_not_written():
    ledger = MemoryLedger()
    ledger.book.save_tape(WRITTEN)
    found = changes([WRITTEN], [at("PAY", 0, 9.0)])
    ledger.book.save_tape(MIGRATED)
    assert ledger.book.apply_changes(found, 500.0) == 0
    assert ledger.book.tape(MIGRATED.path) == MIGRATED
    ledger.destroy()


def test_a_moved_record_keeps_how_its_copy_was_made():
    ledger = MemoryLedger()
    ledger.book.save_tape(MIGRATED)
    ledger.book.run("UPDATE tapes SET copy_values = '{}'")
    ledger.book.apply_changes(changes([MIGRATED], [at("LEDGER")]), 500.0)
    assert ledger.book.tape("/v/PAY/A00017") is None
    assert ledger.book.tape("/v/LEDGER/A00017").handle == "H"
    (line,) = ledger.book.history("tape /VAULT01/LEDGER/A00017")
    assert line.cause.startswith("moved by others")
    ledger.destroy()


def test_retention_removes_old_lines_about_tapes_but_never_an_operators():
    ledger = MemoryLedger()
    book = ledger.book
    book.save_tape(WRITTEN)
    book.set_locked(WRITTEN.path, True, "engine", 10.0, "a mount")
    book.set_locked(WRITTEN.path, False, "engine", 900.0, "a mount")
    book.set_override(WRITTEN.path, "a trial", "operator alice", 11.0)
    assert book.prune(500.0) == 1
    assert book.prune(500.0) == 0
    left = [(line.at, line.actor) for line in book.history(f"tape {WRITTEN.name}")]
    assert left == [(900.0, "engine"), (11.0, "operator alice")]  # as they were recorded
    ledger.destroy()
