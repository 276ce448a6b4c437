"""What must hold in a world with tapes, at every moment and of every end that is reported."""

from pathlib import Path
from posixpath import dirname

from twisted.python.failure import Failure

from vtspolicy.jobs import JobState


class Checks:
    """The model's own account of what is on the tapes, and in copies: part of a world."""

    def handles(self, tape):
        rows = self.ledger.tx.sql.connection.execute(
            "SELECT handle FROM copies WHERE cartridge = ?", (tape.name,)
        )
        return {row[0] for row in rows} | self.known_handles[tape.name]

    def is_held(self, tape):
        return self.application.holds(self.handles(tape), tape.name, tape.content)

    def places(self, tape):
        """Files that have, or may have, what is on a tape."""
        quiet = not self.is_dead and not self._jobs_of(tape)
        for pool in ("A", "B"):
            folder = self.site.root / "VAULT01" / pool
            yield folder / tape.name
            for kept in folder.glob(f".vtspolicy-*-{tape.name}"):
                kind = kept.name.removesuffix(f"-{tape.name}").rpartition("-")[2]
                if kind == "kept" or not quiet:
                    yield kept

    def check(self):
        """The invariant, at this moment."""
        assert self.violations == []
        for tape in self.tapes:
            if tape.guarded and not self._is_somewhere(tape):
                found = self.application.claims(self.handles(tape), tape.name, tape.content)
                if self.site.proof == "found" and found:
                    tape.waive("the application's record is not true")
                    continue
                self.lost.append(f"{tape.name}: its last content is nowhere")
        assert self.lost == []

    def _is_somewhere(self, tape):
        for path in self.places(tape):
            try:
                if path.read_bytes() == tape.content:
                    return True
            except FileNotFoundError:
                continue
        return self.is_held(tape)

    def _check_mount(self, seq):
        for each in [each for each in self.mounts if each[0] == seq]:
            self.mounts.remove(each)
            _, tape, version = each
            if tape.guarded and tape.version == version and tape.read() != tape.content:
                self.lost.append(f"{tape.name} is said to be ready, and has not its content")

    def written(self, verb, written):
        """A write of the ledger was made: what it says must be so."""
        if written is None or isinstance(written, Failure):
            return
        result = written.result
        if verb == "start_attempt" and result is not None:
            path = result.job.path or ""
            looks = [each for at, each in self.looked.items() if at == path or dirname(at) == path]
            self.begun[result.job.id] = min(
                [*looks, (self.versions(), self.acts)], key=lambda each: each[1]
            )
        if verb == "answer":
            # What is asked for after the mount may empty the tape again.
            for notice in written.change.notices:
                if notice.word.name == "MOUNTREADY":
                    self._check_mount(notice.fields["seq"])
        if verb != "finish_attempt" or not result.changed:
            return
        job = result.job
        versions, acts = self.begun.get(job.id, ({}, -1))
        for tape in self.tapes:
            there = Path(job.path or "") in {tape.path, tape.path.parent}  # it may have been moved
            if there and tape.version == versions.get(tape.name):
                self._check_end(job, tape, quiet=acts == self.acts)

    def _check_end(self, job, tape, *, quiet):
        """Nobody has written to the tape since the job began."""
        told = f"job {job.id} ({job.work.then}) of {tape.name} ended as {job.state.name}"
        path = Path(job.path or "")
        content = _content(path if path.name == tape.name else path / tape.name)
        if job.state is not JobState.COMPLETED:
            good = job.id in self.went_well and quiet and job.work.then == "migrated"
            failed = job.state is JobState.FAILED and not self.application.deaf
            if good and failed and tape.read():
                self.lost.append(f"{told}: {job.reason}")
            return
        copied = job.work.then == "migrated" and quiet and tape.guarded
        if copied and tape.read() not in {None, b"", tape.content}:
            self.lost.append(f"{told}, and what is on it is not what its host wrote")
        if job.work.then == "erased" and content:
            self.lost.append(f"{told}, and it has data")
        if job.work.then == "deleted" and content is not None:
            self.lost.append(f"{told}, and it is there")
        if job.work.then != "restored" or "to" in job.values:
            return
        if "copy" in job.values:
            self._chosen(job, tape, content, told)
        elif tape.guarded and content != tape.content:
            self.lost.append(f"{told}, and it has other data")

    def _chosen(self, job, tape, content, told):
        """An operator chose a copy: that is what is on the tape from now on."""
        if tape.guarded and content != tape.content and not self.is_held(tape):
            self.lost.append(f"{told}: what was on it before is nowhere")
        self.host.wrote(tape, content)


def is_about(job, tape):
    """Whether a job is about a tape, or a pool that has it."""
    path = Path(job.path or "")
    return path.name == tape.name or path == tape.path.parent


def _content(path):
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None
