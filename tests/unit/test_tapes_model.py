"""Tapes: what may be done to one, with every reason why not; where its data is; what a scan saw."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.evidence import a_copy, a_file, a_tape, erased, migrated, restored
from vtspolicy import tapes
from vtspolicy.catalogue import compare, named_twice
from vtspolicy.tapes import (
    Act,
    Allowed,
    Answer,
    Ask,
    Difference,
    Done,
    Facts,
    Found,
    Mark,
    MountAction,
    Proof,
    Reason,
    Refused,
    Restored,
    TapeState,
    Use,
    VaultFeatures,
    difference,
    judge,
    looked_at,
    on_mount,
    stricter,
    with_file,
)
from vtspolicy.testing.ledger import MemoryLedger

NOW = 1000.0
DAY = 86400.0
BARE = a_tape()
SCRATCH = a_tape(a_file(0, 1.0))
WRITTEN = a_tape(a_file())
COPY = a_copy(WRITTEN)
MIGRATED = migrated(WRITTEN, COPY)
ERASED = erased(MIGRATED)
BACK = restored(ERASED)
BACK_COPY = evolve(COPY, restored=(Restored(fingerprint=BACK.seen, at=300.0),))
DELETED = tapes.emptied(MIGRATED, at=200.0, file=None, proven=True)
OTHER = a_file(11, 600.0)
REWRITTEN = with_file(MIGRATED, a_tape(OTHER))
HALF = evolve(
    with_file(ERASED, a_tape(a_file(4, 251.0))), restoring=250.0, partial=a_file(4, 251.0)
)
OVERRIDDEN = evolve(WRITTEN, override="a trial", override_at=NOW - 60.0, override_seen=WRITTEN.seen)
TOUCHED = with_file(MIGRATED, a_tape(a_file(changed=50.0)))


def facts(tape, *copies, **more):
    return Facts(**{"tape": tape, "copies": copies, "now": NOW, **more})


def answers(found, words="", copy=1):
    return {copy: Answer(found=found, words=words)}


def asked(ruling):
    """Which copy has to be asked about, and for what."""
    assert isinstance(ruling, Ask)
    return ruling.copy, ruling.need


# -- every reason

ACTS_AND_REASONS = [
    (Reason.NO_TAPE, Act.ERASE, facts(BARE)),
    (Reason.NO_TAPE, Act.DELETE, facts(BARE)),
    (Reason.NO_TAPE, Act.ERASE, facts(DELETED, COPY)),
    (Reason.NO_TAPE, Act.ARCHIVE, facts(BARE)),
    (Reason.NO_TAPE, Act.MARK_MIGRATED, facts(BARE)),
    (Reason.DELETED_ALREADY, Act.DELETE, facts(DELETED, COPY)),
    (Reason.EMPTY_ALREADY, Act.ERASE, facts(SCRATCH)),
    (Reason.EMPTY_ALREADY, Act.ERASE, facts(ERASED, COPY, use=Use.OPEN)),
    (Reason.BACK_ALREADY, Act.RESTORE, facts(MIGRATED, COPY)),
    (Reason.BACK_ALREADY, Act.RESTORE, facts(BACK, BACK_COPY)),
    (Reason.BACK_ALREADY, Act.RESTORE, facts(TOUCHED, COPY)),
    (Reason.LOCKED, Act.ERASE, facts(evolve(MIGRATED, locked=True), COPY)),
    (Reason.LOCKED, Act.ERASE, facts(evolve(OVERRIDDEN, locked=True))),
    (Reason.ASKED_FOR, Act.ERASE, facts(MIGRATED, COPY, wanted=True)),
    (Reason.IN_USE, Act.ERASE, facts(MIGRATED, COPY, use=Use.OPEN)),
    (Reason.IN_USE, Act.DELETE, facts(OVERRIDDEN, use=Use.OPEN)),
    (Reason.IN_USE, Act.ERASE, facts(MIGRATED, COPY, use=Use.OPEN, accepted=("leases",))),
    (Reason.IN_USE, Act.RESTORE, facts(HALF, COPY, use=Use.OPEN)),
    (Reason.NO_LEASES, Act.ERASE, facts(MIGRATED, COPY, features=VaultFeatures(leases=False))),
    (Reason.NO_LEASES, Act.ERASE, facts(OVERRIDDEN, features=VaultFeatures(leases=False))),
    (Reason.NO_LEASES, Act.RESTORE, facts(HALF, COPY, features=VaultFeatures(leases=False))),
    (Reason.USE_UNTOLD, Act.ERASE, facts(MIGRATED, COPY, use=Use.UNTOLD)),
    (Reason.HALF_RESTORED, Act.ERASE, facts(HALF, COPY)),
    (Reason.HALF_RESTORED, Act.DELETE, facts(HALF, COPY)),
    (Reason.HALF_RESTORED, Act.ARCHIVE, facts(HALF, COPY)),
    (Reason.HALF_RESTORED, Act.ARCHIVE, facts(evolve(HALF, partial=None), COPY)),
    (Reason.HALF_RESTORED, Act.MARK_MIGRATED, facts(HALF, COPY)),
    (Reason.NO_COPY, Act.ERASE, facts(WRITTEN)),
    (Reason.NO_COPY, Act.DELETE, facts(evolve(OVERRIDDEN, override_at=NOW - DAY))),
    (Reason.NO_COPY_AT_ALL, Act.RESTORE, facts(SCRATCH)),
    (Reason.NO_COPY_AT_ALL, Act.MARK_RESTORED, facts(WRITTEN)),
    (Reason.COPY_LOST, Act.ERASE, facts(MIGRATED, evolve(COPY, lost=NOW))),
    (Reason.COPY_LOST, Act.RESTORE, facts(ERASED, evolve(COPY, lost=NOW))),
    (Reason.CONTENT_UNKNOWN, Act.ERASE, facts(MIGRATED, evolve(COPY, after=None))),
    (Reason.WRITTEN_SINCE, Act.ERASE, facts(REWRITTEN, COPY)),
    (Reason.WRITTEN_SINCE, Act.ERASE, facts(REWRITTEN, COPY, answers=answers(Found.DATA))),
    (Reason.COPIED_ANEW, Act.ERASE, facts(MIGRATED, COPY, cleanup=True, chosen=COPY.id + 1)),
    (Reason.NOT_BY_US, Act.ERASE, facts(MIGRATED, evolve(COPY, by_us=False), cleanup=True)),
    (Reason.MOVED, Act.ERASE, facts(MIGRATED, evolve(COPY, source="/v/OLD/A00017"))),
    (
        Reason.MOVED,
        Act.RESTORE,
        facts(ERASED, evolve(COPY, source="/v/OLD/A00017"), in_place=True, movable=("DSK",)),
    ),
    (Reason.NOT_FOUND, Act.ERASE, facts(MIGRATED, COPY, answers=answers(Found.ABSENT, "gone"))),
    (Reason.OTHER_DATA, Act.ERASE, facts(MIGRATED, COPY, answers=answers(Found.OTHER))),
    (Reason.NOT_ASKED, Act.ERASE, facts(MIGRATED, COPY, answers=answers(Found.UNKNOWN, "busy"))),
    (
        Reason.NOT_ASKED,
        Act.ERASE,
        facts(MIGRATED, COPY, answers=answers(Found.FOUND), demanded=Proof.DATA),
    ),
    (Reason.NEEDS_DATA, Act.ERASE, facts(TOUCHED, COPY, answers=answers(Found.FOUND))),
    (
        Reason.NEEDS_DATA,
        Act.ERASE,
        facts(MIGRATED, evolve(COPY, doubt="it was open"), answers=answers(Found.FOUND)),
    ),
    (Reason.LEFT_UNKNOWN, Act.RESTORE, facts(evolve(HALF, partial=None), COPY, in_place=True)),
    (Reason.LEFT_UNKNOWN, Act.RESTORE, facts(evolve(HALF, partial_sure=False), COPY, same=False)),
    (
        Reason.WRITTEN_AFTER_RESTORE,
        Act.RESTORE,
        facts(with_file(HALF, a_tape(OTHER)), COPY),
    ),
    (Reason.GONE_MEANWHILE, Act.RESTORE, facts(DELETED, COPY, was_there=True)),
    (Reason.WOULD_OVERWRITE, Act.RESTORE, facts(REWRITTEN, COPY)),
    (Reason.WOULD_OVERWRITE, Act.RESTORE, facts(WRITTEN)),
    (Reason.WOULD_OVERWRITE, Act.RESTORE, facts(REWRITTEN, COPY, handle="H1")),
    (Reason.NO_SUCH_COPY, Act.RESTORE, facts(ERASED, COPY, handle="H9")),
    (Reason.DOUBTED, Act.RESTORE, facts(evolve(ERASED, doubted=900.0), COPY)),
    (Reason.OLDER_CONTENT, Act.RESTORE, facts(erased(REWRITTEN, proven=False), COPY)),
    (Reason.OTHER_APPLICATION, Act.RESTORE, facts(ERASED, COPY, application="TSM")),
    (Reason.EMPTY, Act.ARCHIVE, facts(ERASED, COPY)),
    (Reason.EMPTY_MARK, Act.MARK_MIGRATED, facts(SCRATCH)),
    (Reason.OTHER_SIZE, Act.MARK_MIGRATED, facts(WRITTEN, mark=Mark(size=11))),
    (Reason.WRITTEN_SINCE_BEGAN, Act.MARK_MIGRATED, facts(WRITTEN, mark=Mark(began=5.0))),
    (Reason.BEGAN_LATER, Act.MARK_MIGRATED, facts(WRITTEN, mark=Mark(began=NOW + 1.0))),
    (Reason.NOTHING_CAME, Act.MARK_RESTORED, facts(ERASED, COPY)),
    (Reason.NOTHING_CAME, Act.MARK_RESTORED, facts(BARE)),
    (Reason.DOES_NOT_FIT, Act.MARK_RESTORED, facts(REWRITTEN, COPY)),
    (
        Reason.NOT_EMPTIED,
        Act.MARK_RESTORED,
        facts(with_file(MIGRATED, a_tape(a_file(10, 600.0))), COPY),
    ),
]


@pytest.mark.parametrize(
    ("reason", "act", "known"),
    ACTS_AND_REASONS,
    ids=[f"{act} {reason.name}" for reason, act, _ in ACTS_AND_REASONS],
)
def test_an_act_is_refused_or_done_with_its_reason(reason, act, known):
    ruling = judge(act, known)
    assert isinstance(ruling, Done | Refused)
    assert ruling.reason is reason
    assert ruling.words
    assert not {"{", "}"} & set(ruling.words), "a value is missing"


def test_every_reason_is_given_by_the_judge():
    assert {reason for reason, _, _ in ACTS_AND_REASONS} == set(Reason)


def test_what_is_so_already_is_done_and_all_else_refused():
    already = {Reason.DELETED_ALREADY, Reason.EMPTY_ALREADY, Reason.BACK_ALREADY}
    for reason, act, known in ACTS_AND_REASONS:
        assert isinstance(judge(act, known), Done) is (reason in already)


# -- when a tape may be emptied


@pytest.mark.parametrize("act", [Act.ERASE, Act.DELETE])
@pytest.mark.parametrize(
    ("tape", "copy"),
    [
        (MIGRATED, COPY),
        (BACK, BACK_COPY),
        (evolve(MIGRATED, mounted=800.0), COPY),
        (with_file(MIGRATED, a_tape(a_file(device=2, boot="b2"))), COPY),
    ],
)
def test_a_tape_that_is_as_copied_is_emptied_once_its_copy_is_found(act, tape, copy):
    known = facts(tape, copy, movable=())
    assert asked(judge(act, known)) == (copy, Proof.FOUND)
    found = judge(act, evolve(known, answers=answers(Found.FOUND)))
    assert found == Allowed(copy=copy, proof=Proof.FOUND)
    read = judge(act, evolve(known, answers=answers(Found.DATA)))
    assert read == Allowed(copy=copy, proof=Proof.DATA)


@pytest.mark.parametrize(
    ("tape", "copy", "more", "why"),
    [
        (TOUCHED, COPY, {}, "attributes were changed"),
        (MIGRATED, evolve(COPY, doubt="it was open"), {}, "it was open"),
        (MIGRATED, evolve(COPY, demanded=Proof.DATA), {}, None),
        (MIGRATED, COPY, {"demanded": Proof.DATA}, None),
        (MIGRATED, evolve(COPY, demanded=Proof.DATA), {"demanded": Proof.FOUND}, None),
        (MIGRATED, COPY, {"features": VaultFeatures(keeps_ctime=False)}, "does not keep"),
        (MIGRATED, COPY, {"features": VaultFeatures(keeps_inode=False)}, "does not keep"),
        (
            BACK,
            evolve(COPY, restored=(Restored(fingerprint=BACK.seen, at=1.0, sure=False),)),
            {},
            "the tape was not looked at",
        ),
    ],
)
def test_a_tape_is_emptied_only_when_its_data_was_read_back(tape, copy, more, why):
    known = facts(tape, copy, **more)
    ruling = judge(Act.ERASE, known)
    assert asked(ruling) == (copy, Proof.DATA)
    assert ruling.why is None if why is None else why in ruling.why
    assert isinstance(judge(Act.ERASE, evolve(known, answers=answers(Found.FOUND))), Refused)
    allowed = judge(Act.ERASE, evolve(known, answers=answers(Found.DATA)))
    assert allowed == Allowed(copy=copy, proof=Proof.DATA)


LEGACY = evolve(
    COPY,
    began=100.0,
    after=tapes.Fingerprint(vault="id-of-VAULT01", size=10, mtime_ns=5_000_000_400),
)


@pytest.mark.parametrize(
    ("file", "need"),
    [
        (a_file(), Proof.FOUND),
        (a_file(changed=99.0), Proof.FOUND),
        (a_file(changed=100.0), Proof.DATA),
        (a_file(changed=500.0), Proof.DATA),
    ],
)
def test_a_copy_of_version_0_1_needs_its_data_if_the_file_was_touched_since(file, need):
    ruling = judge(Act.ERASE, facts(with_file(MIGRATED, a_tape(file)), LEGACY))
    assert asked(ruling) == (LEGACY, need)
    assert (ruling.why is None) is (need is Proof.FOUND)


@pytest.mark.parametrize("file", [a_file(11), a_file(written=5.000002)])
def test_a_copy_of_version_0_1_proves_nothing_of_another_size_or_time(file):
    ruling = judge(Act.ERASE, facts(with_file(MIGRATED, a_tape(file)), LEGACY))
    assert ruling.reason is Reason.WRITTEN_SINCE


def test_another_copy_may_prove_what_one_does_not():
    second = a_copy(WRITTEN, 2, doubt="it was open")
    known = facts(MIGRATED, second, COPY)
    assert asked(judge(Act.ERASE, known)) == (COPY, Proof.FOUND)  # the one that needs less
    known = evolve(known, answers=answers(Found.ABSENT))
    assert asked(judge(Act.ERASE, known)) == (second, Proof.DATA)
    known = evolve(known, answers={**known.answers, **answers(Found.DATA, copy=2)})
    assert judge(Act.ERASE, known) == Allowed(copy=second, proof=Proof.DATA)


def test_of_several_refusals_the_one_that_came_nearest_is_reported():
    older = a_copy(a_tape(a_file(3)), 2)
    known = facts(MIGRATED, COPY, older, answers=answers(Found.ABSENT, "no such archive"))
    ruling = judge(Act.ERASE, known)
    assert ruling.words == "DSK does not find its copy H1: no such archive"


def test_of_copies_alike_the_newest_is_asked_for_first():
    newest = a_copy(WRITTEN, 2)
    assert judge(Act.ERASE, facts(MIGRATED, newest, COPY)).copy is newest


def test_a_moved_tape_is_emptied_if_its_application_can_bring_it_back_elsewhere():
    copy = evolve(COPY, source="/v/OLD/A00017")
    assert isinstance(judge(Act.ERASE, facts(MIGRATED, copy, movable=("DSK",))), Ask)


def test_what_the_site_has_accepted_is_done_without_leases():
    known = facts(
        MIGRATED, COPY, features=VaultFeatures(leases=False), accepted=("leases",), use=Use.UNTOLD
    )
    assert isinstance(judge(Act.ERASE, known), Ask)


def test_an_archive_a_recall_and_a_mark_need_no_lease():
    blind = {"features": VaultFeatures(leases=False), "use": Use.UNTOLD}
    assert isinstance(judge(Act.ARCHIVE, facts(WRITTEN, **blind)), Allowed)
    assert isinstance(judge(Act.RESTORE, facts(ERASED, COPY, **blind)), Allowed)
    assert isinstance(judge(Act.MARK_MIGRATED, facts(WRITTEN, **blind)), Allowed)


def test_a_tape_that_is_empty_is_deleted_without_a_copy():
    assert judge(Act.DELETE, facts(SCRATCH)) == Allowed()


# -- overrides


def test_an_override_allows_an_erase_that_nothing_proves():
    assert judge(Act.ERASE, facts(OVERRIDDEN)) == Allowed(overridden=True)
    half = evolve(
        HALF, override="a trial", override_at=NOW, override_seen=HALF.seen, override_job=7
    )
    assert judge(Act.ERASE, facts(half, COPY, job=7)) == Allowed(overridden=True)


@pytest.mark.parametrize(
    ("tape", "job", "said"),
    [
        (with_file(OVERRIDDEN, a_tape(OTHER)), None, "it was written after that"),
        (evolve(OVERRIDDEN, override_at=NOW - DAY), None, "that has expired"),
        (evolve(OVERRIDDEN, override_at=NOW + DAY), None, "that has expired"),
        (evolve(OVERRIDDEN, override_job=7), 8, None),
        (evolve(OVERRIDDEN, override_job=7), None, None),
        (evolve(OVERRIDDEN, override_at=None), None, None),
        (evolve(OVERRIDDEN, override_seen=None), None, None),
    ],
)
def test_an_override_is_about_one_order_one_day_and_the_file_as_it_was(tape, job, said):
    ruling = judge(Act.ERASE, facts(tape, job=job))
    assert ruling.reason is Reason.NO_COPY
    assert said is None or ruling.words.endswith(said)


def test_an_override_survives_a_look_at_the_file_that_was_only_touched():
    tape = with_file(OVERRIDDEN, a_tape(a_file(changed=99.0)))
    assert judge(Act.ERASE, facts(tape)) == Allowed(overridden=True)


def test_an_override_is_spent_when_the_tape_is_emptied():
    after = erased(OVERRIDDEN, proven=False)
    assert (after.override, after.override_at, after.override_seen, after.override_job) == (
        None,
        None,
        None,
        None,
    )


# -- restores and marks


@pytest.mark.parametrize(
    ("tape", "copies", "more", "chosen"),
    [
        (ERASED, (COPY,), {}, COPY),
        (DELETED, (COPY,), {}, COPY),
        (HALF, (COPY,), {}, COPY),
        (ERASED, (a_copy(WRITTEN, 2), COPY), {}, COPY),  # what was last on it, not the newest
        (ERASED, (a_copy(WRITTEN, 2), COPY), {"handle": "H2"}, a_copy(WRITTEN, 2)),
        (evolve(ERASED, doubted=900.0), (COPY,), {"handle": "H1"}, COPY),
        (erased(REWRITTEN, proven=False), (COPY,), {"handle": "H1"}, COPY),
        (ERASED, (a_copy(WRITTEN, 2), evolve(COPY, lost=NOW)), {}, a_copy(WRITTEN, 2)),
        (ERASED, (evolve(COPY, source="/v/OLD/A00017"),), {}, evolve(COPY, source="/v/OLD/A00017")),
        (SCRATCH, (), {"needs_copy": False}, None),
    ],
)
def test_a_restore_brings_back_the_last_known_content_or_what_was_chosen(
    tape, copies, more, chosen
):
    assert judge(Act.RESTORE, facts(tape, *copies, **more)) == Allowed(copy=chosen)


def test_a_restore_onto_data_needs_a_proof_of_that_data_and_another_copy():
    older = a_copy(a_tape(a_file(3, 2.0)), 2)
    known = facts(MIGRATED, COPY, older, handle="H2")
    assert asked(judge(Act.RESTORE, known)) == (COPY, Proof.FOUND)
    absent = evolve(known, answers=answers(Found.ABSENT))
    assert judge(Act.RESTORE, absent).reason is Reason.NOT_FOUND
    found = evolve(known, answers=answers(Found.FOUND))
    assert judge(Act.RESTORE, found) == Allowed(copy=older)
    assert judge(Act.RESTORE, evolve(found, use=Use.OPEN)).reason is Reason.IN_USE


def test_an_override_lets_a_restore_overwrite_what_no_copy_holds():
    tape = evolve(REWRITTEN, override="x", override_at=NOW, override_seen=OTHER, override_job=3)
    assert judge(Act.RESTORE, facts(tape, COPY, job=3)) == Allowed(copy=COPY)
    assert judge(Act.RESTORE, facts(tape, COPY, job=4)).reason is Reason.WOULD_OVERWRITE


@pytest.mark.parametrize(
    ("tape", "mark", "doubt"),
    [
        (WRITTEN, Mark(), "it is not known when"),
        (WRITTEN, Mark(size=10), "it is not known when"),
        (WRITTEN, Mark(began=6.0), "it is not known how many bytes"),
        (a_tape(a_file(changed=7.0)), Mark(began=6.0, size=10), "attributes were changed"),
        (SCRATCH, Mark(size=10, began=6.0), "was empty when it was marked"),
        (WRITTEN, Mark(began=6.0, size=10), None),
    ],
)
def test_a_mark_proves_only_what_it_says(tape, mark, doubt):
    ruling = judge(Act.MARK_MIGRATED, facts(tape, mark=mark))
    assert isinstance(ruling, Allowed)
    assert ruling.doubt is None if doubt is None else doubt in ruling.doubt


@pytest.mark.parametrize(
    "tape",
    [
        MIGRATED,
        BACK,
        with_file(ERASED, a_tape(a_file(10, 400.0))),
        with_file(HALF, a_tape(a_file(10, 400.0))),
    ],
)
def test_a_tape_that_fits_its_copy_and_waited_for_it_is_marked_restored(tape):
    assert judge(Act.MARK_RESTORED, facts(tape, BACK_COPY)) == Allowed(copy=BACK_COPY)


def test_the_stricter_demand_counts_and_none_is_that_it_is_found():
    assert stricter() is Proof.FOUND
    assert stricter(None, None) is Proof.FOUND
    assert stricter(Proof.FOUND, None, Proof.DATA) is Proof.DATA


# -- how a file differs


@pytest.mark.parametrize(
    ("now", "how"),
    [
        (a_file(), Difference.NONE),
        (a_file(digest="ab"), Difference.NONE),
        (a_file(device=2, boot="b2"), Difference.NONE),  # numbers of another boot say nothing
        (a_file(device=2, boot="b1"), Difference.NONE),  # it was mounted anew
        (a_file(device=2, boot="b1", inode=8), Difference.WRITTEN),
        (a_file(device=2, boot="b1", changed=6.0), Difference.TOUCHED),
        (a_file(changed=6.0), Difference.TOUCHED),
        (a_file(changed=4.0), Difference.TOUCHED),
        (a_file(11), Difference.WRITTEN),
        (a_file(0), Difference.WRITTEN),
        (a_file(inode=8), Difference.WRITTEN),
        (a_file(written=5.000000001), Difference.WRITTEN),
        (a_file(written=4.0, changed=5.0), Difference.WRITTEN),
        (evolve(a_file(), vault="another"), Difference.WRITTEN),
        (evolve(a_file(), inode=None), Difference.TOUCHED),
        (evolve(a_file(), ctime_ns=None), Difference.TOUCHED),
        (evolve(a_file(), mtime_ns=None), Difference.WRITTEN),
    ],
)
def test_size_time_and_inode_tell_a_write_and_the_change_time_a_touch(now, how):
    then = a_file(device=1, boot="b1")
    assert difference(then, now) is how
    assert difference(now, then) is how


def test_coarse_times_do_not_tell_a_remount_from_another_file_system():
    coarse = VaultFeatures(tick_ns=1_000_000_000)
    then = a_file(device=1, boot="b1")
    assert difference(then, a_file(device=2, boot="b1"), coarse) is Difference.TOUCHED
    assert difference(then, a_file(device=2, boot="b2"), coarse) is Difference.NONE
    assert difference(then, a_file(device=1, boot="b1"), coarse) is Difference.NONE


@pytest.mark.parametrize("features", [{"keeps_inode": False}, {"keeps_ctime": False}])
def test_what_a_vault_does_not_keep_shows_no_write_and_proves_none(features):
    vault = VaultFeatures(**features)
    assert difference(a_file(), a_file(), vault) is Difference.TOUCHED
    assert difference(a_file(), a_file(inode=8), vault) is Difference.TOUCHED
    assert difference(a_file(), a_file(11), vault) is Difference.WRITTEN
    assert difference(a_file(), a_file(written=6.0), vault) is Difference.WRITTEN


def test_a_copy_is_of_the_file_that_was_copied_or_of_one_that_was_brought_back():
    assert COPY.difference(WRITTEN.seen) == (Difference.NONE, True)
    assert BACK_COPY.difference(BACK.seen) == (Difference.NONE, True)
    assert COPY.difference(BACK.seen)[0] is Difference.WRITTEN
    unsure = Restored(fingerprint=BACK.seen, at=1.0, sure=False)
    assert evolve(COPY, restored=(unsure,)).difference(BACK.seen) == (Difference.NONE, False)
    both = evolve(COPY, restored=(unsure, *BACK_COPY.restored))
    assert both.difference(BACK.seen) == (Difference.NONE, True)
    assert evolve(COPY, after=None).difference(WRITTEN.seen)[0] is Difference.WRITTEN


# -- where the data is


@pytest.mark.parametrize(
    ("tape", "state"),
    [
        (BARE, TapeState.DELETED),
        (SCRATCH, TapeState.SCRATCH),
        (WRITTEN, TapeState.WRITTEN),
        (MIGRATED, TapeState.MIGRATED),
        (TOUCHED, TapeState.MIGRATED),
        (REWRITTEN, TapeState.WRITTEN),
        (ERASED, TapeState.ERASED),
        (BACK, TapeState.MIGRATED),
        (HALF, TapeState.ERASED),
        (DELETED, TapeState.DELETED),
        (tapes.emptied(ERASED, at=400.0, file=None, proven=True), TapeState.DELETED),
        (erased(OVERRIDDEN, proven=False), TapeState.SCRATCH),
        (erased(REWRITTEN, proven=False), TapeState.SCRATCH),
        (tapes.copied(WRITTEN, COPY, at=9.0, known=False), TapeState.WRITTEN),
    ],
)
def test_the_state_shows_where_the_data_is(tape, state):
    assert tape.state is state


def test_a_copy_ends_what_was_doubtful_about_its_tape():
    odd = evolve(REWRITTEN, rewritten=1.0, restoring=2.0, doubted=3.0, override="x")
    after = migrated(odd, a_copy(odd, 2))
    assert (after.held, after.handle, after.kept) == (2, "H2", OTHER)
    assert (after.rewritten, after.restoring, after.doubted, after.override) == (None,) * 4


def test_a_tape_keeps_its_retention_when_its_next_copy_has_none():
    first = migrated(WRITTEN, a_copy(WRITTEN, retention="14,d"))
    assert migrated(first, a_copy(WRITTEN, 2)).retention == "14,d"
    assert migrated(first, a_copy(WRITTEN, 3, retention="2,w")).retention == "2,w"


def test_what_others_write_makes_the_copy_an_old_one_also_when_the_tape_is_empty_again():
    written = looked_at(MIGRATED, a_tape(OTHER), at=51.0)
    assert (written.rewritten, written.state) == (51.0, TapeState.WRITTEN)
    emptied = looked_at(written, a_tape(a_file(0, 60.0)), at=61.0)
    assert (emptied.rewritten, emptied.state) == (51.0, TapeState.SCRATCH)


def test_a_tape_that_others_only_touch_or_empty_still_has_its_copy():
    assert looked_at(MIGRATED, a_tape(a_file(changed=50.0)), at=51.0).state is TapeState.MIGRATED
    assert looked_at(MIGRATED, a_tape(a_file(0, 60.0)), at=61.0).state is TapeState.ERASED


def test_what_a_host_writes_ends_a_half_restored_state():
    same = looked_at(HALF, a_tape(a_file(4, 251.0)), at=260.0)
    assert (same.restoring, same.is_half_restored) == (250.0, True)
    written = looked_at(HALF, a_tape(OTHER), at=601.0)
    assert (written.restoring, written.partial, written.rewritten) == (None, None, 601.0)
    assert written.state is TapeState.WRITTEN


def test_what_contradicts_a_restored_ledger_is_doubted_and_all_else_is_not():
    unseen = evolve(MIGRATED, unseen=True)
    assert looked_at(unseen, WRITTEN, at=9.0).doubted is None
    assert not looked_at(unseen, WRITTEN, at=9.0).unseen
    assert looked_at(unseen, a_tape(OTHER), at=9.0).doubted == 9.0
    assert looked_at(unseen, a_tape(a_file(0, 9.0)), at=9.0).doubted == 9.0
    assert looked_at(MIGRATED, a_tape(OTHER), at=9.0).doubted is None


def test_a_tape_that_is_made_again_after_a_delete_is_new_until_it_is_written():
    anew = looked_at(DELETED, a_tape(a_file(0, 300.0, inode=8)), at=301.0)
    assert (anew.state, anew.is_new, anew.rewritten) == (TapeState.SCRATCH, True, None)
    used = looked_at(anew, a_tape(a_file(4, 400.0, inode=8)), at=401.0)
    assert (used.state, used.deleted, used.rewritten) == (TapeState.WRITTEN, None, 401.0)
    back = looked_at(DELETED, WRITTEN, at=301.0)
    assert (back.state, back.deleted) == (TapeState.MIGRATED, None)


# -- mounts


@pytest.mark.parametrize(
    ("tape", "copies", "action"),
    [
        (WRITTEN, (), MountAction.NOTE),
        (MIGRATED, (COPY,), MountAction.NOTE),
        (REWRITTEN, (COPY,), MountAction.NOTE),
        (SCRATCH, (), MountAction.NOTE),
        (erased(REWRITTEN, proven=False), (COPY,), MountAction.NOTE),
        (ERASED, (COPY,), MountAction.RECALL),
        (HALF, (COPY,), MountAction.RECALL),
        (evolve(HALF, partial=None), (COPY,), MountAction.RECALL),
        (ERASED, (evolve(COPY, lost=NOW),), MountAction.FAIL),
        (evolve(ERASED, doubted=9.0), (COPY,), MountAction.FAIL),
        (BARE, (), MountAction.LEAVE),
        (DELETED, (COPY,), MountAction.LEAVE),
        (with_file(DELETED, a_tape(a_file(0, 300.0))), (COPY,), MountAction.NOTE),
        (evolve(DELETED, size=0, doubted=9.0), (COPY,), MountAction.FAIL),
    ],
)
def test_only_a_tape_whose_last_content_is_in_a_copy_is_recalled(tape, copies, action):
    answer = on_mount(facts(tape, *copies))
    assert answer.action is action
    assert answer.reason


def test_an_emptied_tape_whose_vault_was_away_is_still_an_emptied_one():
    away = looked_at(ERASED, a_tape(), at=300.0)
    there = looked_at(away, a_tape(a_file(0, 200.0)), at=400.0)
    assert on_mount(facts(there, COPY)).action is MountAction.RECALL


# -- whatever it is

some_time = st.none() | st.sampled_from([1.0, 5.0, 9.0])
some_file = st.none() | st.builds(
    a_file,
    st.sampled_from([0, 10, 11]),
    st.sampled_from([1.0, 5.0, 9.0]),
    inode=st.sampled_from([7, 8]),
    changed=st.sampled_from([5.0, 9.0]),
)
some_tape = st.builds(
    lambda file, **given: evolve(a_tape(file), **given),
    some_file,
    migrated=some_time,
    handle=st.sampled_from([None, "H1"]),
    held=st.sampled_from([None, 1]),
    kept=some_file,
    copied_size=st.sampled_from([None, 0, 10]),
    copied_written=some_time,
    rewritten=some_time,
    restoring=some_time,
    partial=some_file,
    deleted=some_time,
    doubted=some_time,
    locked=st.booleans(),
    unseen=st.booleans(),
)
some_copy = st.builds(
    lambda file, number, lost, doubt, brought: a_copy(
        a_tape(file),
        number,
        lost=lost,
        doubt=doubt,
        restored=() if brought is None else (Restored(fingerprint=brought, at=9.0),),
    ),
    some_file,
    st.sampled_from([1, 2]),
    some_time,
    st.sampled_from([None, "it was open"]),
    some_file,
)
some_facts = st.builds(
    lambda tape, copies, found, **given: facts(
        tape, *copies, answers={} if found is None else answers(found), **given
    ),
    some_tape,
    st.lists(some_copy, max_size=2, unique_by=lambda each: each.id),
    st.none() | st.sampled_from(Found),
    use=st.sampled_from(Use),
    features=st.builds(VaultFeatures, keeps_ctime=st.booleans(), leases=st.booleans()),
    demanded=st.none() | st.sampled_from(Proof),
    cleanup=st.booleans(),
)


@given(some_tape)
def test_the_ledger_counts_a_tape_by_the_state_that_it_has(tape):
    ledger = MemoryLedger()
    try:
        ledger.tx.tapes.save(tape)
        (counted,) = ledger.tx.tapes.counts()
        assert counted.state is tape.state
        assert (counted.count, counted.size, counted.freed) == (1, tape.size or 0, tape.freed)
        assert ledger.tx.tapes.get(tape.path) == tape
    finally:
        ledger.destroy()


@given(st.sampled_from([Act.ERASE, Act.DELETE]), some_facts)
def test_data_is_emptied_only_if_a_copy_that_was_asked_for_has_it(act, known):
    ruling = judge(act, known)
    tape = known.tape
    if isinstance(ruling, Allowed) and tape.size:
        copy = ruling.copy
        assert copy in known.copies
        assert (copy.lost, tape.is_half_restored, tape.locked) == (None, False, False)
        assert copy.difference(tape.seen)[0] is not Difference.WRITTEN
        assert known.answers[copy.id].found in {Found.FOUND, Found.DATA}
        assert known.use is not Use.OPEN
        if copy.doubt is not None or known.demanded is Proof.DATA:
            assert ruling.proof is Proof.DATA
    elif isinstance(ruling, Ask):
        assert ruling.copy.id not in known.answers


@given(some_facts)
def test_data_is_overwritten_only_if_a_copy_that_was_asked_for_has_it(known):
    ruling = judge(Act.RESTORE, known)
    tape = known.tape
    if isinstance(ruling, Allowed) and tape.size and not tape.is_half_restored:
        holding = [
            each
            for each in known.copies
            if each.lost is None and each.difference(tape.seen)[0] is not Difference.WRITTEN
        ]
        found = {Found.FOUND, Found.DATA}
        assert any(known.answers.get(each.id, NOBODY).found in found for each in holding)


NOBODY = Answer(found=Found.UNKNOWN)


@given(some_tape)
def test_whatever_is_emptied_unproven_is_never_recalled(tape):
    if tape.size:
        after = erased(tape, proven=False)
        assert on_mount(facts(after, COPY)).action is not MountAction.RECALL


def test_a_proven_act_ends_what_a_restored_ledger_leaves_to_doubt():
    old = evolve(WRITTEN, unseen=True, doubted=90.0)
    copied = migrated(old, COPY)
    assert (copied.unseen, copied.doubted) == (False, None)
    empty = tapes.emptied(evolve(MIGRATED, unseen=True), at=200.0, file=ERASED.seen, proven=True)
    assert (empty.unseen, empty.doubted) == (False, None)
    back = restored(evolve(ERASED, unseen=True))
    assert (back.unseen, back.doubted) == (False, None)


def test_an_unproven_act_leaves_the_doubt():
    old = evolve(WRITTEN, unseen=True, doubted=90.0)
    empty = tapes.emptied(old, at=200.0, file=ERASED.seen, proven=False)
    assert (empty.unseen, empty.doubted) == (True, 90.0)


# -- what others did


def at(pool, size=10, written=5.0, cartridge="A00017", **more):
    return a_tape(a_file(size, written, **more), pool=pool, cartridge=cartridge)


def changes(known, found, vaults=("VAULT01",)):
    return compare(known, found, vaults=vaults, at=500.0)


def test_a_tape_that_was_moved_takes_its_record_along():
    moved = at("LEDGER", changed=90.0)
    (change,) = changes([MIGRATED], [moved])
    assert change.told == "moved by others, from /VAULT01/PAY/A00017"
    assert (change.after.name, change.after.handle) == ("/VAULT01/LEDGER/A00017", "H1")
    assert (change.after.state, change.after.kept) == (TapeState.MIGRATED, moved.seen)


def test_a_tape_that_was_gone_and_is_in_another_pool_takes_its_record_along():
    moved = at("LEDGER", changed=90.0)
    (change,) = changes([DELETED], [moved])
    assert change.told == "moved by others, from /VAULT01/PAY/A00017"
    assert (change.after.name, change.after.deleted) == ("/VAULT01/LEDGER/A00017", None)


def test_a_tape_that_was_touched_before_it_was_moved_is_a_touched_one_there():
    (change,) = changes([TOUCHED], [at("LEDGER", changed=90.0)])
    assert difference(change.after.kept, change.after.seen) is Difference.TOUCHED


def test_a_tape_that_was_moved_and_written_has_its_copy_no_more():
    (change,) = changes([MIGRATED], [at("LEDGER", 11, 90.0)])
    assert (change.after.state, change.after.rewritten) == (TapeState.WRITTEN, 500.0)


def test_a_copied_tape_is_not_taken_for_a_moved_one():
    (change,) = changes([MIGRATED], [at("PAY"), at("LEDGER")])
    assert (change.before, change.told) == (None, "added by others")


def test_equal_names_in_two_pools_are_known_again_where_their_vault_has_another_folder():
    known = [erased(migrated(at(pool, inode=inode))) for pool, inode in (("PAY", 1), ("HR", 2))]
    found = [evolve(each, path=f"/elsewhere{each.path}") for each in map(_bare, known)]
    assert {(each.told, each.after.path, each.after.state) for each in changes(known, found)} == {
        (f"moved by others, from {each.name}", each.path, TapeState.ERASED) for each in found
    }


def _bare(tape):
    return a_tape(tape.seen, pool=tape.pool, cartridge=tape.cartridge)


def test_added_removed_emptied_and_written_tapes_are_distinguished():
    assert [each.told for each in changes([], [at("PAY")])] == ["added by others"]
    assert [each.told for each in changes([MIGRATED], [])] == ["removed by others"]
    assert [each.told for each in changes([MIGRATED], [at("PAY", 0, 9.0)])] == ["emptied by others"]
    (written,) = changes([MIGRATED], [at("PAY", 11, 9.0)])
    assert (written.told, written.after.state) == (None, TapeState.WRITTEN)
    assert changes([MIGRATED], [at("PAY")]) == []


def test_a_tape_of_a_restored_ledger_that_is_other_is_reported_and_doubted():
    (change,) = changes([evolve(MIGRATED, unseen=True)], [at("PAY", 11, 9.0)])
    assert (change.told, change.after.doubted) == ("other than the restored ledger has it", 500.0)
    (change,) = changes([evolve(MIGRATED, unseen=True)], [at("PAY")])
    assert (change.told, change.after.doubted, change.after.unseen) == (None, None, False)


def test_nothing_is_believed_gone_from_a_vault_that_was_not_looked_through():
    assert changes([MIGRATED], [], vaults=()) == []


def test_half_a_restore_is_not_taken_for_a_write():
    half = evolve(ERASED, restoring=250.0)
    assert changes([half], [at("PAY", 4, 260.0)]) == []


def test_names_in_two_places_are_found():
    assert named_twice([at("PAY"), at("LEDGER"), at("PAY", cartridge="B00001")]) == {
        "A00017": ["/VAULT01/PAY/A00017", "/VAULT01/LEDGER/A00017"]
    }


@pytest.fixture
def tx():
    ledger = MemoryLedger()
    yield ledger.tx
    ledger.destroy()


def test_a_change_that_a_job_overtook_is_not_written(tx):
    tx.tapes.save(WRITTEN)
    found = changes([WRITTEN], [at("PAY", 0, 9.0)])
    tx.tapes.save(MIGRATED)
    assert tx.tapes.apply_changes(found, 500.0) == 0
    assert tx.tapes.get(MIGRATED.path) == MIGRATED


def test_the_copies_of_a_moved_tape_follow_it_and_prove_it_still(tx):
    copy = tx.copies.add(a_copy(WRITTEN, began=6.0))
    tx.tapes.save(migrated(WRITTEN, copy))
    (change,) = changes(tx.tapes.find(), [at("LEDGER", changed=90.0)])
    assert tx.tapes.apply_changes([change], 500.0) == 1
    assert tx.tapes.get("/v/PAY/A00017") is None
    there = tx.tapes.get("/v/LEDGER/A00017")
    assert there.handle == "H1"
    assert tx.copies.of_tape("/v/PAY/A00017") == []
    (moved,) = tx.copies.of_tape("/v/LEDGER/A00017")
    assert (moved.pool, moved.source) == ("LEDGER", "/v/PAY/A00017")
    ruling = judge(Act.ERASE, facts(there, moved, movable=("DSK",)))
    assert asked(ruling) == (moved, Proof.FOUND)
    (line,) = tx.history.about("tape /VAULT01/LEDGER/A00017")
    assert line.cause.startswith("moved by others")


def test_retention_removes_old_lines_about_tapes_but_never_an_operators(tx):
    tx.tapes.save(WRITTEN)
    tx.tapes.set_locked(WRITTEN.path, True, "engine", 10.0, "a mount")
    tx.tapes.set_locked(WRITTEN.path, False, "engine", 900.0, "a mount")
    tx.orders.set_override(WRITTEN, "a trial", "operator alice", 11.0)
    assert tx.retention.prune(500.0) == 1
    assert tx.retention.prune(500.0) == 0
    left = [(line.at, line.actor) for line in tx.history.about(f"tape {WRITTEN.name}")]
    assert left == [(900.0, "engine"), (11.0, "operator alice")]  # as they were recorded
