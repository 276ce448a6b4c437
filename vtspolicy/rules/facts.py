"""Tapes that need not exist, for tests and trials: `/VAULT01/PAYROLL/A00017 size=10M age=3d`."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from attrs import frozen

from vtspolicy.config.reading import seconds, size_in_bytes
from vtspolicy.grammar.command import Command
from vtspolicy.suggest import did_you_mean
from vtspolicy.tapes import Answer, Copy, Facts, Fingerprint, Found, Proof, Tape, Use

FACTS: Mapping[str, str] = {
    "size": "bytes, as 512, 64K, 10M; 1M if not given",
    "age": "time since the last write, as 3d; 1d if not given",
    "migrated": "a copy holds what is on it now",
    "stale": "its copy is older than what is on it now",
    "erased": "emptied after a migration",
    "deleted": "its file is gone, its record and copy are not",
    "handle": "the newest copy's, as 42-1, which is what it is if not given",
    "application": "that has the newest copy, as TSM; DSK if not given",
    "proof": "what asking the application about that copy would come to: recorded (it cannot be"
    " asked), found (a query finds it), data (its data can be read back, and is that of the tape);"
    " data if not given",
    "lost": "the application has said that it does not have that copy any more",
    "touched": "its attributes were changed since it was copied",
    "open": "a process has it open",
    "half-restored": "a restore of it has failed, and left half of it",
}
"""Every word that may follow a tape, and what it says; those without `=` are written alone."""

FLAGS = frozenset(
    {"migrated", "stale", "erased", "deleted", "lost", "touched", "open", "half-restored"}
)
NOT_OF_COPIES = frozenset({"size", "age", "open"})
"""The words that do not say that there is a copy."""

MIB = 2**20
DAY = 86400.0
NANOSECONDS = 1_000_000_000


class FactsError(ValueError):
    """Words that do not say what a tape is."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message  # what was found
        self.remedy = remedy  # what is allowed


@frozen(kw_only=True)
class _Said:
    """What the words of one tape say."""

    tape: str  # its name
    values: Mapping[str, str]  # of the words
    size: int  # bytes
    written: float  # seconds since the epoch
    proof: Proof
    application: str

    def has(self, *words: str) -> bool:
        return bool(self.values.keys() & set(words))

    @property
    def is_copied(self) -> bool:
        return bool(self.values.keys() - NOT_OF_COPIES)

    @property
    def copied(self) -> float:
        """When what the copy holds was written."""
        return self.written - DAY if self.has("stale") else self.written


def tape_of(
    facts: str, *, at: datetime, roots: Mapping[str, Path] | None = None, application: str = "DSK"
) -> Tape:
    """Return the tape that some words describe, as it is `at` a time.

    `roots` are the directories of vaults; without one the tape's path is as commands write it.
    Raises FactsError.
    """
    return facts_of(facts, at=at, roots=roots, application=application).tape


def facts_of(
    facts: str, *, at: datetime, roots: Mapping[str, Path] | None = None, application: str = "DSK"
) -> Facts:
    """Return all that some words say of a tape: itself, its copy, and who uses it.

    What its application would answer about the copy is among it. Raises FactsError.
    """
    said = _said(facts, at, application)
    tape = _tape(said, roots or {})
    return Facts(
        tape=tape,
        copies=(_copy(said, tape),) if said.is_copied else (),
        now=at.timestamp(),
        use=Use.OPEN if said.has("open") else Use.FREE,
        answers={_NUMBER: _ANSWERS[said.proof]},
    )


_NUMBER = 1  # of the one copy that words can speak of

_ANSWERS = {
    Proof.RECORDED: Answer(found=Found.UNKNOWN, words="it could not be asked"),
    Proof.FOUND: Answer(found=Found.FOUND, words="it finds the copy, and its data was not read"),
    Proof.DATA: Answer(found=Found.DATA),
}


def _said(facts: str, at: datetime, application: str) -> _Said:
    words = facts.split()
    parts = words[0].split("/") if words else []
    if len(parts) != 4 or parts[0] or not all(parts[1:]):
        found = words[0] if words else "nothing"
        raise FactsError(f"{found} is not a tape", "/VAULT/POOL/CARTRIDGE, then what it is")
    values: dict[str, str] = {}
    for word in words[1:]:
        name, is_given, value = word.partition("=")
        if name not in FACTS or bool(is_given) == (name in FLAGS):
            known = did_you_mean(name, FACTS) if name not in FACTS else FACTS[name]
            remedy = known or f"the words are {', '.join(FACTS)}"
            raise FactsError(f'"{word}" says nothing of a tape', remedy)
        values[name] = value
    age = seconds(values.get("age", "1d"))
    size = size_in_bytes(values.get("size", "1M"))
    proof = values.get("proof", Proof.DATA)
    if age is None or size is None or proof not in set(Proof):
        wrong = "age" if age is None else "size" if size is None else "proof"
        raise FactsError(f'"{wrong}={values[wrong]}" is none', FACTS[wrong])
    return _Said(
        tape=words[0],
        values=values,
        size=size,
        written=at.timestamp() - age,
        proof=Proof(proof),
        application=values.get("application", application),
    )


def _tape(said: _Said, roots: Mapping[str, Path]) -> Tape:
    _, vault, pool, cartridge = said.tape.split("/")
    root = roots.get(vault)
    copied, halved = said.is_copied, said.has("half-restored")
    empty = said.has("erased") and not halved
    gone = said.has("deleted")
    size = 0 if empty else said.size // 2 if halved else said.size
    file = _fingerprint(said, size, said.written, touched=said.has("touched"))
    return Tape(
        vault=vault,
        pool=pool,
        cartridge=cartridge,
        path=str(root / pool / cartridge) if root else said.tape,
        size=None if gone else size,
        written=None if gone else said.written,
        seen=None if gone else file,
        held=_NUMBER if copied else None,
        kept=_fingerprint(said, said.size, said.copied) if copied else None,
        migrated=said.written if copied else None,
        handle=said.values.get("handle", "42-1") if copied else None,
        application=said.application if copied else None,
        copied_size=said.size if copied else None,
        copied_written=said.copied if copied else None,
        erased=said.written if gone or empty else None,
        deleted=said.written if gone else None,
        rewritten=said.written if said.has("stale") else None,
        restoring=said.written if halved else None,
        partial=file if halved else None,
    )


def _copy(said: _Said, tape: Tape) -> Copy:
    fingerprint = _fingerprint(said, said.size, said.copied)
    return Copy(
        id=_NUMBER,
        vault=tape.vault,
        pool=tape.pool,
        cartridge=tape.cartridge,
        path=tape.path,
        source=tape.path,
        application=said.application,
        handle=said.values.get("handle", "42-1"),
        began=said.copied,
        ended=said.copied,
        before=fingerprint,
        after=fingerprint,
        size=said.size,
        proof=said.proof,
        proved=said.copied if said.proof is not Proof.RECORDED else None,
        lost=said.written if said.has("lost") else None,
    )


def _fingerprint(said: _Said, size: int, written: float, *, touched: bool = False) -> Fingerprint:
    moment = int(written * NANOSECONDS)
    return Fingerprint(
        vault=said.tape.split("/")[1],
        size=size,
        mtime_ns=moment,
        inode=1,
        ctime_ns=moment + (NANOSECONDS if touched else 0),
    )


def imagined(
    command: Command, *, at: datetime, roots: Mapping[str, Path] | None = None
) -> tuple[Tape, ...]:
    """Return plain tapes, written a day ago, for the cartridges that a command names by path."""
    return tuple(each.tape for each in imagined_facts(command, at=at, roots=roots))


def imagined_facts(
    command: Command, *, at: datetime, roots: Mapping[str, Path] | None = None
) -> tuple[Facts, ...]:
    """Return the facts of tapes without copies that are not in use."""
    return tuple(
        facts_of(target.path or "", at=at, roots=roots)
        for target in command.targets
        if target.cartridge is not None and target.path is not None
    )
