"""The one function that allows or refuses acts that empty, overwrite, copy or mark a tape.

It is pure. The caller collects the facts and asks for a verdict. If that is an `Ask`, it asks the
application about one copy, and then asks for another verdict with the answer. It acts on exactly
the file that was judged. No other function decides.
"""

from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum

from attrs import field, frozen

from vtspolicy.tapes.copies import Copy, Proof, stricter
from vtspolicy.tapes.fingerprint import Difference, VaultFeatures, difference
from vtspolicy.tapes.reasons import Reason
from vtspolicy.tapes.tape import Tape


class Act(StrEnum):
    """What may be done to the data of a tape."""

    ARCHIVE = "archive"
    ERASE = "erase"
    DELETE = "delete"
    RESTORE = "restore"
    MARK_MIGRATED = "mark migrated"
    MARK_RESTORED = "mark restored"


class Use(StrEnum):
    """Whether another process has the tape's file open."""

    FREE = "free"  # a lease proves that none has
    OPEN = "open"
    UNKNOWN = "unknown"  # not tried yet; the act itself will
    UNTOLD = "untold"  # it was tried, and the vault or our rights do not let us know


class Found(StrEnum):
    """What came of asking an application about one copy."""

    FOUND = "found"  # a query by its handle, about this tape, found it
    DATA = "data"  # its data was read back and is what is on the tape now
    OTHER = "other"  # its data was read back and is not what is on the tape
    ABSENT = "absent"  # the application says clearly that it does not have it
    UNKNOWN = "unknown"  # it could not be asked, or its answer was not clear


@frozen(kw_only=True)
class Answer:
    """An application's answer about one copy."""

    found: Found
    words: str = ""  # of the application, or why it could not be asked


@frozen(kw_only=True)
class Mark:
    """What an operator, or an application's own schedule, says of a tape."""

    began: float | None = None  # when the copy began, by this machine; seconds since the epoch
    size: int | None = None  # bytes that were copied
    application: str = ""
    lag: float | None = 0.0  # seconds by which the vault's clock is behind at most; None: not known


@frozen(kw_only=True)
class Facts:
    """All that is known of one tape at the moment of judging."""

    tape: Tape  # its record, with `seen` as its file is now
    copies: tuple[Copy, ...] = ()  # all, the newest first
    now: float = 0.0  # seconds since the epoch
    features: VaultFeatures = field(factory=VaultFeatures)
    accepted: Collection[str] = ()  # features of the vault without which the site accepts to act
    use: Use = Use.UNKNOWN
    answers: Mapping[int, Answer] = field(factory=dict)  # by the copies' numbers
    demanded: Proof | None = None  # by the rule of the act
    cleanup: bool = False  # only the cleanup asked for it
    chosen: int | None = None  # the number of the copy by which the cleanup chose it
    wanted: bool = False  # a host asked for the tape after the act was asked for
    job: int | None = None  # the job that acts
    handle: str | None = None  # of the copy that an operator chose
    movable: Collection[str] = ()  # applications that can bring a tape back to another place
    in_place: bool = False  # the restore writes into the tape's own file
    same: bool | None = None  # what is on the tape is what came back; None: nothing came back yet
    was_there: bool = False  # the tape's file, as the restore of it began
    application: str | None = None  # whose program restores it
    needs_copy: bool = True  # the restore names the copy that it brings back
    mark: Mark = Mark()


@frozen(kw_only=True)
class Allowed:
    """The act may be done, on exactly the file that was judged."""

    copy: Copy | None = None  # that proves it, or that is brought back
    proof: Proof = Proof.RECORDED
    overridden: bool = False  # by an operator's word, and by nothing else
    doubt: str | None = None  # of a mark: why the copy it records allows no erase yet


@frozen(kw_only=True)
class Done:
    """There is nothing to do: what was asked for is so."""

    reason: Reason
    words: str


@frozen(kw_only=True)
class Refused:
    """The act must not be done."""

    reason: Reason
    words: str


@frozen(kw_only=True)
class Ask:
    """The application has to be asked about a copy; then the facts are judged again."""

    copy: Copy
    need: Proof  # FOUND: by its query; DATA: by reading the data back
    why: str | None = None  # why nothing less than its data will do; None: by a rule, or not so


Ruling = Allowed | Done | Refused | Ask


def judge(act: Act, facts: Facts) -> Ruling:
    """Allow or refuse an act, with one reason."""
    match act:
        case Act.ARCHIVE:
            return _archive(facts)
        case Act.RESTORE:
            return _restore(facts)
        case Act.MARK_MIGRATED:
            return _mark_migrated(facts)
        case Act.MARK_RESTORED:
            return _mark_restored(facts)
    return _empty(act, facts)


def _refused(reason: Reason, **words: object) -> Refused:
    return Refused(reason=reason, words=reason.told(**words))


def _done(reason: Reason, **words: object) -> Done:
    return Done(reason=reason, words=reason.told(**words))


# -- what guards every act that empties or overwrites


def _why_unguarded(facts: Facts) -> Refused | None:
    """Return why it cannot be made sure that the file judged is the file acted on, or None."""
    if facts.use is Use.OPEN:
        return _refused(Reason.IN_USE)
    if "leases" in facts.accepted:
        return None
    if not facts.features.leases:
        return _refused(Reason.NO_LEASES, vault=facts.tape.vault)
    if facts.use is Use.UNTOLD:
        return _refused(Reason.USE_UNTOLD)
    return None


# -- erase and delete


def _empty(act: Act, facts: Facts) -> Ruling:
    tape = facts.tape
    settled = _settled(act, facts)
    if settled is not None:
        return settled
    if tape.size == 0:
        return Allowed()
    if tape.is_overridden(facts.now, facts.job):
        return Allowed(overridden=True)
    if tape.is_half_restored:
        return _refused(Reason.HALF_RESTORED)
    ruling = _evidence(facts)
    if isinstance(ruling, Refused) and tape.has_override_for(facts.job):
        return Refused(reason=ruling.reason, words=f"{ruling.words}; {_override_gone(facts)}")
    return ruling


def _settled(act: Act, facts: Facts) -> Done | Refused | None:
    """Return the verdict that does not depend on copies, or None."""
    tape = facts.tape
    if tape.size is None:
        if act is Act.DELETE and tape.deleted is not None:
            return _done(Reason.DELETED_ALREADY)
        return _refused(Reason.NO_TAPE)
    if tape.locked:
        return _refused(Reason.LOCKED)
    if facts.wanted:
        return _refused(Reason.ASKED_FOR)
    if tape.size == 0 and act is Act.ERASE:
        return _done(Reason.EMPTY_ALREADY)
    return _why_unguarded(facts)


def _override_gone(facts: Facts) -> str:
    tape = facts.tape
    if (
        tape.override_seen is not None
        and tape.seen is not None
        and (difference(tape.override_seen, tape.seen) is Difference.WRITTEN)
    ):
        return "an operator allowed to empty it, but it was written after that"
    return "an operator allowed to empty it, but that has expired"


def _evidence(facts: Facts) -> Ruling:
    """Return whether a copy proves what is on the tape now, or whom to ask next.

    The application's clear "no" is final for that copy; another copy may still prove the tape.
    """
    if not facts.copies:
        return _refused(Reason.NO_COPY)
    if facts.chosen not in {None, facts.tape.held}:
        return _refused(Reason.COPIED_ANEW)
    refusals: list[Refused] = []
    for copy, need, why in _candidates(facts, refusals):
        answer = facts.answers.get(copy.id)
        if answer is None:
            return Ask(copy=copy, need=need, why=why)
        words = {"application": copy.application, "handle": copy.handle, "said": answer.words}
        if answer.found is Found.DATA or (answer.found is Found.FOUND and need is not Proof.DATA):
            proof = Proof.DATA if answer.found is Found.DATA else Proof.FOUND
            return Allowed(copy=copy, proof=proof)
        if answer.found is Found.ABSENT:
            refusals.append(_refused(Reason.NOT_FOUND, **words))
        elif answer.found is Found.OTHER:
            refusals.append(_refused(Reason.OTHER_DATA, **words))
        elif why is not None:
            refusals.append(_refused(Reason.NEEDS_DATA, why=why, **words))
        else:
            refusals.append(_refused(Reason.NOT_ASKED, **words))
    # The reason of the copy that came nearest says most.
    return max(refusals, key=lambda each: each.reason.nearness)


def _candidates(facts: Facts, refusals: list[Refused]) -> Iterator[tuple[Copy, Proof, str | None]]:
    """Yield copies that may prove the tape, the best first: each with what it needs, and why."""
    tape, ranked = facts.tape, []
    for number, copy in enumerate(facts.copies):
        if copy.lost is not None:
            refusals.append(
                _refused(Reason.COPY_LOST, application=copy.application, handle=copy.handle)
            )
            continue
        found = Difference.WRITTEN
        if tape.seen is not None:
            found, _ = copy.difference(tape.seen, facts.features)
        if found is Difference.WRITTEN:
            unknown = copy.after is None and not copy.restored
            reason = Reason.CONTENT_UNKNOWN if unknown else Reason.WRITTEN_SINCE
            refusals.append(_refused(reason, handle=copy.handle))
        elif facts.cleanup and not copy.by_us:
            refusals.append(_refused(Reason.NOT_BY_US))
        elif copy.source != tape.path and copy.application not in facts.movable:
            refusals.append(
                _refused(Reason.MOVED, application=copy.application, source=copy.source)
            )
        else:
            why = why_data(copy, tape, facts.features)
            need = Proof.DATA if why else stricter(facts.demanded, copy.demanded)
            ranked.append(((why is not None, number), copy, need, why))
    for _, copy, need, why in sorted(ranked, key=lambda each: each[0]):
        yield copy, need, why


def why_data(copy: Copy, tape: Tape, features: VaultFeatures) -> str | None:
    """Return why nothing less than its data, read back, lets a copy prove the tape, or None.

    The tape is not known to be written since the copy was made.
    """
    found, sure = Difference.TOUCHED, True
    if tape.seen is not None:
        found, sure = copy.difference(tape.seen, features)
    if copy.doubt is not None:
        return copy.doubt
    if not sure:
        return "the tape was not looked at when its restore ended"
    if found is Difference.NONE:
        return None
    if not (features.keeps_inode and features.keeps_ctime):
        return f"vault {tape.vault} does not keep what is needed to tell one file from another"
    if copy.is_legacy:
        return _why_legacy(copy, tape, features)
    return "the file's attributes were changed after it was made, and perhaps its data"


def _why_legacy(copy: Copy, tape: Tape, features: VaultFeatures) -> str | None:
    """Return why a copy of version 0.1 needs its data read back, or None."""
    if copy.began is None:
        return "it was noted by version 0.1, and when it began is not known"
    if tape.seen is None or tape.seen.ctime_ns is None:
        return "it was made by version 0.1, and the file was not looked at since the upgrade"
    if _may_be_later(tape.seen.ctime_ns, copy.began, features):
        return "it was made by version 0.1, and the file was touched after that began"
    return None


# -- restore


def _restore(facts: Facts) -> Ruling:
    tape = facts.tape
    chosen = _copy_of(facts)
    if facts.was_there and tape.size is None:
        return _refused(Reason.GONE_MEANWHILE)
    if tape.size and not tape.is_half_restored:
        whole = _copy_on_tape(facts)
        if whole is not None and (facts.handle is None or whole is chosen):
            return _done(Reason.BACK_ALREADY)
        if not tape.is_overridden(facts.now, facts.job):
            ruling = _may_overwrite(facts, whole)
            if ruling is not None:
                return ruling
    elif (
        tape.is_left_unknown
        and (facts.in_place or facts.same is False)
        and not tape.is_overridden(facts.now, facts.job)
    ):
        return _refused(Reason.LEFT_UNKNOWN)
    if tape.size:
        unguarded = _why_unguarded(facts)
        if unguarded is not None:
            return unguarded
    return _which_copy(facts, chosen)


def _may_overwrite(facts: Facts, whole: Copy | None) -> Refused | Ask | None:
    """Return why data that is on a tape must not be overwritten, whom to ask, or None."""
    tape = facts.tape
    if tape.restoring is not None:
        return _refused(Reason.WRITTEN_AFTER_RESTORE)
    if whole is None:
        return _refused(Reason.WOULD_OVERWRITE)
    ruling = _evidence(facts)
    return ruling if isinstance(ruling, Refused | Ask) else None


def _which_copy(facts: Facts, chosen: Copy | None) -> Ruling:
    tape = facts.tape
    if not facts.copies and not facts.needs_copy and facts.handle is None:
        return Allowed()  # the application's own catalogue is the only record
    refusal = _why_not_this_copy(facts, chosen)
    if refusal is not None or chosen is None:
        return refusal or _refused(Reason.NO_COPY_AT_ALL)
    if facts.application not in {None, chosen.application}:
        return _refused(
            Reason.OTHER_APPLICATION, application=chosen.application, asked=facts.application
        )
    if facts.in_place and chosen.source != tape.path:
        return _refused(Reason.MOVED, application=chosen.application, source=chosen.source)
    return Allowed(copy=chosen)


def _why_not_this_copy(facts: Facts, chosen: Copy | None) -> Refused | None:
    """Return why a copy is not the one to be brought back, or None."""
    tape = facts.tape
    if facts.handle is not None:
        return _refused(Reason.NO_SUCH_COPY, handle=facts.handle) if chosen is None else None
    if not facts.copies:
        return _refused(Reason.NO_COPY_AT_ALL)
    if tape.doubted is not None:
        return _refused(Reason.DOUBTED, tape=tape.name)
    if chosen is None or (tape.rewritten is not None and not tape.is_half_restored):
        newest = facts.copies[0]
        return _refused(
            Reason.OLDER_CONTENT,
            tape=tape.name,
            application=newest.application,
            handle=newest.handle,
        )
    if chosen.lost is not None:
        return _refused(Reason.COPY_LOST, application=chosen.application, handle=chosen.handle)
    return None


def _copy_of(facts: Facts) -> Copy | None:
    """Return the copy that an operator chose, or the one of the last known content."""
    if facts.handle is not None:
        return next((each for each in facts.copies if each.handle == facts.handle), None)
    held = next((each for each in facts.copies if each.id == facts.tape.held), None)
    if held is None or held.lost is None:
        return held
    # Another copy of the same content is as good.
    others = (each for each in facts.copies if each.lost is None)
    same = (each for each in others if each.has_content_of(held, facts.features))
    return next(same, held)


def _copy_on_tape(facts: Facts) -> Copy | None:
    """Return a copy that holds the tape's present file, as far as its fingerprint shows."""
    seen = facts.tape.seen
    if seen is None:
        return None
    for copy in facts.copies:
        if copy.lost is None and copy.difference(seen, facts.features)[0] is not Difference.WRITTEN:
            return copy
    return None


# -- archive


def _archive(facts: Facts) -> Ruling:
    tape = facts.tape
    if tape.size is None:
        return _refused(Reason.NO_TAPE)
    if tape.size == 0:
        return _refused(Reason.EMPTY)
    if tape.is_half_restored:
        return _refused(Reason.HALF_RESTORED)
    return Allowed()


# -- marks


def _mark_migrated(facts: Facts) -> Ruling:
    tape, mark = facts.tape, facts.mark
    if tape.size is None:
        return _refused(Reason.NO_TAPE)
    if tape.restoring is not None and not tape.size:
        return _refused(Reason.HALF_RESTORED)
    if tape.size == 0:
        if mark.size is None:
            return _refused(Reason.EMPTY_MARK)
        return Allowed(doubt="the tape was empty when it was marked")
    if tape.is_half_restored:
        return _refused(Reason.HALF_RESTORED)
    if mark.size is not None and mark.size != tape.size:
        return _refused(Reason.OTHER_SIZE, size=tape.size, copied=mark.size)
    return _since_began(facts)


def _since_began(facts: Facts) -> Ruling:
    """Return what a mark proves by when the copy began."""
    mark, seen = facts.mark, facts.tape.seen
    if mark.began is None:
        return Allowed(doubt="it is not known when the copy began: mark it with --began")
    if seen is None or seen.mtime_ns is None or seen.ctime_ns is None:
        return Allowed(doubt="the tape's times are not known")
    began = mark.began - (mark.lag or 0.0)  # by the vault's clock, as the file's times are
    if seen.mtime_ns / 1e9 >= began:
        return _refused(Reason.WRITTEN_SINCE_BEGAN)
    if mark.began > facts.now:
        return _refused(Reason.BEGAN_LATER)
    if mark.lag is None:
        return Allowed(
            doubt="the vault's clock is not known: it cannot be written, or answers late"
        )
    if seen.ctime_ns / 1e9 >= began:
        return Allowed(doubt="the file's attributes were changed after the copy began")
    if _may_be_later(seen.ctime_ns, began, facts.features):
        return Allowed(
            doubt="the file was changed so shortly before the copy began that a later"
            " write would have the same time"
        )
    if mark.size is None:
        return Allowed(doubt="it is not known how many bytes were copied: mark it with --size")
    return Allowed()


def _may_be_later(changed: int, began: float, features: VaultFeatures) -> bool:
    """Whether a change with that time, in nanoseconds, may be one of after that moment, in seconds.

    The times of a vault are of the beginning of a tick.
    """
    return (changed + 2 * features.tick_ns) / 1e9 >= began


def _mark_restored(facts: Facts) -> Ruling:
    tape = facts.tape
    if not tape.size:
        return _refused(Reason.NOTHING_CAME)
    whole = _copy_on_tape(facts)
    if whole is not None and not tape.is_half_restored:
        return Allowed(copy=whole)
    held = _copy_of(facts)
    if held is None:
        return _refused(Reason.NO_COPY_AT_ALL)
    size = held.after.size if held.after is not None else held.size
    if size != tape.size:
        return _refused(Reason.DOES_NOT_FIT, size=tape.size, copied=size)
    used = max(tape.restored or 0.0, tape.migrated or 0.0)
    was_empty = tape.erased is not None and tape.erased >= used
    if not (tape.restoring is not None or was_empty):
        return _refused(Reason.NOT_EMPTIED)
    return Allowed(copy=held)
