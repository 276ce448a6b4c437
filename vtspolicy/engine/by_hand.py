"""What operators do with tapes: give commands, mark copies, overrule the deletion gate, unlock."""

from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from vtspolicy.control import Refused, Told, UnknownThing
from vtspolicy.engine.cleanup import OURSELVES
from vtspolicy.engine.engine import OtherTapesError
from vtspolicy.engine.intake import VERBS_ON_REQUESTS, Elsewhere, Understood, Unheard, understand
from vtspolicy.events.event import COMMAND_TEXT, Event
from vtspolicy.grammar import Target
from vtspolicy.grammar.values import TYPES
from vtspolicy.ledger import Book, Recorded
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import Tape
from vtspolicy.vaults import VaultError

if TYPE_CHECKING:
    from vtspolicy.engine.engine import Engine


async def order(engine: "Engine", text: str, tapes: list[str], actor: str) -> Told:
    """Take a command by an operator's right; `tapes` are those that it must be about."""
    if COMMAND_TEXT.match(text) is None:
        raise Refused("this is no command: it has to begin with VTSPolicy")
    now = engine.clock.seconds()
    event = Event(text=text, wire="plain")
    result = understand(engine.reader, event, hosts=(OURSELVES,), address="", received=now)
    if isinstance(result, Elsewhere):
        raise Refused(f"this is a command for {result.server}, not for this server")
    if isinstance(result, Unheard):
        raise Refused(result.reason)
    if not isinstance(result, Understood):
        intake = evolve(result, actor=actor)
        recorded: Recorded = await engine.ledger.write(Book.record, intake)
        engine.take_up(intake, recorded)
        return _told(recorded)
    verb = result.command.operation
    if verb in VERBS_ON_REQUESTS:
        raise Refused(f"{result.command.family} is for hosts; see `vtspolicy {verb}`")
    refuse_when_full(engine)
    try:
        recorded = await engine.order(evolve(result, actor=actor), expected=tapes)
    except OtherTapesError as error:
        raise Refused(str(error)) from error
    return _told(recorded)


def refuse_when_full(engine: "Engine") -> None:
    """Raise Refused where hosts are not read any further: so many jobs wait as may."""
    waiting, most = engine.queue.waiting, engine.reader.configuration.waiting
    if waiting >= most:
        jobs = "job waits" if waiting == 1 else "jobs wait"
        raise Refused(
            f"the queue is full: {waiting} {jobs}, and `waiting` allows {most}; ask again later"
        )


def _told(recorded: Recorded) -> Told:
    fields = recorded.notices[0].fields if recorded.notices else {}
    last = recorded.notices[-1].fields if recorded.notices else {}
    return {
        "request": recorded.request,
        "word": recorded.notices[0].word.name if recorded.notices else None,
        "jobs": len(recorded.jobs),
        "reason": fields.get("reason") or last.get("reason"),
        "column": fields.get("column"),
    }


async def override(engine: "Engine", tape: str, reason: str, actor: str) -> Told:
    """Let one tape, as it is now, past the deletion gate, once."""
    found = await _find(engine, tape)
    if not found.size:
        raise Refused(f"{found.name} has no data; there is nothing to overrule")
    at = engine.clock.seconds()

    def note(book: Book) -> None:
        book.save_files([found])
        book.set_override(found.path, reason, actor, at)

    await engine.ledger.write(note)
    return {"tape": found.name}


@frozen(kw_only=True)
class Mark:
    """What an application did with a tape by its own schedule."""

    state: str  # migrated or restored
    application: str
    handle: str | None = None  # of the copy, by which the application finds it
    retention: str | None = None  # 14,d
    media: str | None = None  # on which of its media the copy is
    size: int | None = None  # what a tape had, in bytes, that is empty already


async def mark(engine: "Engine", tape: str, word: Mark, actor: str) -> Told:
    """Note what an application did by its own schedule; a mount that waits for it is answered."""
    if word.state not in {"migrated", "restored"}:
        raise Refused(f'"{word.state}" is no mark; migrated and restored are')
    known = {*engine.reader.table.applications, *engine.reader.vocabulary.families}
    if word.application not in known:
        near = did_you_mean(word.application, known)
        raise UnknownThing(f"there is no application {word.application}; {near}".rstrip("; "))
    found = await _find(engine, tape)
    refusal = _why_not_mark(found, word)
    if refusal is not None:
        raise Refused(f"{found.name}: {refusal}")
    at = engine.clock.seconds()

    def note(book: Book) -> Tape:
        if word.state == "restored":
            return book.mark_back(found, application=word.application, actor=actor, at=at)
        return book.mark_copied(
            found,
            handle=word.handle or "",
            application=word.application,
            actor=actor,
            at=at,
            retention=word.retention,
            media=word.media,
            size=word.size,
        )

    after = await engine.ledger.write(note)
    if word.state == "restored":
        engine.mounts.check()
    return {"tape": after.name, "state": after.state.value}


def _why_not_mark(tape: Tape, word: Mark) -> str | None:
    retention = TYPES["retention"]
    if word.retention is not None and not retention.pattern.fullmatch(word.retention):
        return f'"{word.retention}" is no retention; {retention.expected}, as {retention.sample}'
    if word.state == "restored":
        if not tape.size:
            return "it has no data; nothing came back"
        return None if tape.handle else "no copy of it is known that could have come back"
    if not word.handle:
        return "the handle by which the application finds the copy is missing"
    if tape.size is None:
        return "there is no such tape"
    if tape.size == 0 and word.size is None:
        return "it is empty: give the size that it had when it was copied, if it was emptied since"
    if tape.size and word.size is not None:
        return "it has its data: its size is known"
    return None


def unlock(book: Book, lock: str, actor: str, at: float) -> bool:
    """Unlock a tape, named as in commands or by its path; False when it is not locked."""
    for tape in book.tapes_locked():
        if lock in {tape.name, tape.path}:
            book.set_locked(tape.path, False, actor, at, "an operator asked for it")
            return True
    return False


async def _find(engine: "Engine", text: str) -> Tape:
    """Return the tape of a name, as commands have it, of a bare name, or of a file's path."""
    target = _target(engine, text)
    records = await engine.ledger.read(Book.tapes_named, target.cartridge or "")
    try:
        found = await engine.threads(engine.vaults.find, target, records)
    except VaultError as error:
        raise UnknownThing(str(error)) from error
    except OSError as error:
        raise UnknownThing(f"the vault cannot be read: {error.strerror or error}") from error
    tape: Tape = found.tapes[0]
    record = await engine.ledger.read(Book.tape, tape.path)
    return tape if record is None else evolve(record, size=tape.size, written=tape.written)


def _target(engine: "Engine", text: str) -> Target:
    parts = [part for part in text.split("/") if part]
    path = Path(text)
    for vault, root in engine.vaults.roots.items():
        if path.is_absolute() and path.is_relative_to(root):
            parts = [vault, *path.relative_to(root).parts]
    if any(part in {".", ".."} or part.startswith(".") for part in parts):
        raise UnknownThing(f"{text} is no tape")
    if len(parts) == 1 and not text.startswith("/"):
        return Target(cartridge=parts[0])
    if len(parts) != 3:
        raise UnknownThing(f"{text} is no tape; it is named /VAULT/POOL/CARTRIDGE")
    return Target(vault=parts[0], pool=parts[1], cartridge=parts[2])
