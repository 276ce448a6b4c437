"""The disk archive on real files, through its command."""

import hashlib
import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard
from attrs import evolve, frozen
from click.testing import CliRunner

from vtspolicy.cli.disk import disk
from vtspolicy.runner.disk import restore as restore_room
from vtspolicy.runner.disk.files import claimed
from vtspolicy.runner.disk.layout import CopyFiles, unfinished_restore

COMMAND = [sys.executable, "-c", "from vtspolicy.cli.disk import disk; disk()"]
WRITTEN = 1_700_000_000_123_456_789  # when the tape was last written, nanoseconds
CONTENT = os.urandom(1_500_000) + bytes(1_500_000)


@frozen(kw_only=True)
class Shop:
    """A vault with one tape, and a store."""

    tape: Path  # the tape
    store: Path  # the store, not made yet

    @property
    def place(self):
        return CopyFiles(store=self.store, tape=self.tape, handle="7-1")

    def __call__(self, verb, *more, path=None, handle="7-1"):
        words = [verb, str(path or self.tape), f"--store={self.store}", *more]
        if handle:
            words.append(f"--handle={handle}")
        return CliRunner().invoke(disk, words, catch_exceptions=False)

    def names(self):
        """Every file in the store and every hidden file in the vault."""
        found = [each for each in self.store.rglob("*") if not each.is_dir()]
        found += self.tape.parent.glob(".*")
        return sorted(each.name for each in found)


@pytest.fixture
def shop(tmp_path):
    pool = tmp_path / "VAULT01" / "PAY"
    pool.mkdir(parents=True)
    tape = pool / "A00017"
    tape.write_bytes(CONTENT)
    tape.chmod(0o640)
    os.utime(tape, ns=(WRITTEN, WRITTEN))
    return Shop(tape=tape, store=tmp_path / "store")


def erase(shop):
    os.truncate(shop.tape, 0)


def test_an_archived_erased_and_restored_tape_is_the_same_tape(shop):
    assert shop("archive").exit_code == 0
    erase(shop)
    restored = shop("restore")
    assert restored.exit_code == 0, restored.output
    assert shop.tape.read_bytes() == CONTENT
    assert shop.tape.stat().st_mtime_ns == WRITTEN
    assert stat.S_IMODE(shop.tape.stat().st_mode) == 0o640
    assert shop.names() == ["7-1", "7-1.json", "7-1.zst"]


def test_the_summary_is_one_json_object_with_what_was_stored(shop):
    answer = shop("archive", "--json")
    found = json.loads(answer.stdout)
    data = Path(found["data"])
    assert found["seconds"] >= 0
    assert {key: found[key] for key in ("operation", "handle", "path", "size", "already")} == {
        "operation": "archive",
        "handle": "7-1",
        "path": str(shop.tape),
        "size": len(CONTENT),
        "already": False,
    }
    assert found["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert found["stored"] == data.stat().st_size
    assert answer.stdout.count("\n") == 1


def test_the_copy_is_an_ordinary_zstd_file_that_only_we_can_read(shop):
    shop("archive")
    data = shop.store / "tapes" / str(shop.tape).lstrip("/") / "7-1.zst"
    with data.open("rb") as file:
        assert zstandard.ZstdDecompressor().stream_reader(file).read() == CONTENT
    assert data.stat().st_mode & 0o077 == 0
    assert shop.store.stat().st_mode & 0o777 == 0o700


def test_a_tape_that_was_deleted_comes_back_with_its_permissions(shop):
    shop("archive")
    shop.tape.unlink()
    assert shop("restore").exit_code == 0
    assert stat.S_IMODE(shop.tape.stat().st_mode) == 0o640
    assert shop.tape.read_bytes() == CONTENT


def test_the_newest_copy_is_restored_when_no_handle_is_given(shop):
    shop("archive", handle="9-1")
    shop.tape.write_bytes(b"the second generation")
    shop("archive", handle="10-1")
    erase(shop)
    assert shop("restore", handle=None).exit_code == 0
    assert shop.tape.read_bytes() == b"the second generation"
    assert "9-1" in shop("query", handle="9-1").output


def test_a_damaged_newest_copy_is_not_replaced_by_an_older_one(shop):
    shop("archive", handle="1")
    shop.tape.write_bytes(b"the second generation")
    shop("archive", handle="2")
    evolve(shop.place, handle="2").data.unlink()
    erase(shop)
    answer = shop("restore", handle=None)
    assert answer.exit_code == 1
    assert "missing, although its manifest is there" in answer.stderr
    assert shop.tape.stat().st_size == 0


def test_archiving_again_under_the_same_handle_changes_nothing(shop):
    shop("archive")
    before = shop.place.data.stat()
    answer = shop("archive", "--json")
    assert answer.exit_code == 0
    assert json.loads(answer.stdout)["already"] is True
    assert shop.place.data.stat() == before


def test_a_handle_is_not_used_twice_for_one_tape_that_changed(shop):
    shop("archive")
    shop.tape.write_bytes(b"something new")
    answer = shop("archive")
    assert answer.exit_code == 1
    assert "handle 7-1 is taken" in answer.stderr
    assert shop("query", "--verify").exit_code == 0


def test_with_next_free_a_tape_that_changed_gets_another_handle(shop):
    shop("archive")
    for number in (2, 3):
        shop.tape.write_bytes(b"something new" * number)
        told = json.loads(shop("archive", "--next-free", "--json").stdout)
        assert (told["handle"], told["already"]) == (f"7-1.{number}", False)
    told = json.loads(shop("archive", "--next-free", "--json").stdout)
    assert (told["handle"], told["already"]) == ("7-1.3", True)
    for handle in ("7-1", "7-1.2", "7-1.3"):
        assert shop("query", "--verify", handle=handle).exit_code == 0


def test_with_next_free_no_copy_gets_a_handle_that_is_too_long_to_ask_for(shop):
    longest = "h" * 127
    shop("archive", "--next-free", handle=longest)
    shop.tape.write_bytes(b"something new")
    answer = shop("archive", "--next-free", handle=longest)
    assert (answer.exit_code, "has 129 characters" in answer.stderr) == (1, True)


def test_with_next_free_a_handle_of_another_tape_is_not_passed_over(shop):
    shop("archive")
    other = shop.tape.with_name("OTHER")
    shop.tape.rename(other)
    answer = shop("archive", "--next-free", path=other)
    assert "handle 7-1 is taken: it names a copy of" in answer.stderr


def test_other_data_of_the_same_size_and_time_is_not_taken_for_archived(shop):
    shop("archive")
    before = shop.tape.stat()
    shop.tape.write_bytes(bytes(before.st_size))
    os.utime(shop.tape, ns=(before.st_atime_ns, before.st_mtime_ns))
    answer = shop("archive")
    assert answer.exit_code == 1
    assert "handle 7-1 is taken" in answer.stderr


def test_a_copy_is_not_taken_for_that_of_a_file_with_the_same_size_and_time(shop):
    shop("archive")
    found = shop.tape.stat()
    other = shop.tape.with_name(".new")
    other.write_bytes(bytes(byte ^ 1 for byte in shop.tape.read_bytes()))
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.rename(shop.tape)
    answer = shop("archive")
    assert answer.exit_code == 1
    assert "the tape has changed since" in answer.stderr


@pytest.mark.parametrize("verb", ["archive", "restore", "query", "delete"])
def test_a_handle_of_another_tape_is_refused_by_name(shop, verb):
    shop("archive")
    other = shop.tape.with_name("B00001")
    other.write_bytes(b"another")
    answer = shop(verb, path=other)
    assert answer.exit_code == 1
    assert str(shop.tape) in answer.stderr
    assert shop("query", "--verify").exit_code == 0
    assert other.read_bytes() == b"another"


def test_a_tape_with_other_data_is_only_overwritten_when_asked(shop):
    shop("archive")
    shop.tape.write_bytes(b"newer data")
    refused = shop("restore")
    assert refused.exit_code == 1
    assert "--replace" in refused.stderr
    assert shop.tape.read_bytes() == b"newer data"
    assert shop("restore", "--replace").exit_code == 0
    assert shop.tape.read_bytes() == CONTENT


def test_other_data_of_the_same_length_is_seen(shop):
    shop("archive")
    changed = bytearray(CONTENT)
    changed[1000] ^= 1
    shop.tape.write_bytes(changed)
    os.utime(shop.tape, ns=(WRITTEN, WRITTEN))
    assert shop("restore").exit_code == 1
    assert shop.tape.read_bytes() == changed


def test_a_tape_that_has_its_data_already_is_left_as_it_is(shop):
    shop("archive")
    before = shop.tape.stat()
    answer = shop("restore", "--json")
    assert json.loads(answer.stdout)["already"] is True
    assert shop.tape.stat() == before


def test_a_copy_can_be_restored_elsewhere(shop):
    shop("archive")
    elsewhere = shop.tape.with_name("COPY")
    answer = shop("restore", f"--to={elsewhere}")
    assert answer.exit_code == 0
    assert f"to {elsewhere}" in answer.output
    assert elsewhere.read_bytes() == CONTENT


def test_a_copy_is_restored_to_a_private_name_as_the_tape_was(shop):
    shop("archive")
    shop.tape.chmod(0o600)  # since it was copied
    target = shop.tape.with_name(".vtspolicy-1-1")
    assert shop("restore", f"--to={target}").exit_code == 0
    made = target.stat()
    assert target.read_bytes() == CONTENT
    assert (made.st_mtime_ns, stat.S_IMODE(made.st_mode)) == (WRITTEN, 0o600)
    other = shop.tape.with_name("OTHER")
    other.write_bytes(b"x")
    assert "has other data on it" in shop("restore", f"--to={other}").stderr
    assert other.read_bytes() == b"x"


@pytest.mark.parametrize("there", ["nothing", "a link"])
def test_a_copy_is_restored_to_a_private_name_where_no_tape_is(shop, there):
    shop("archive")
    shop.tape.unlink()
    if there == "a link":
        shop.tape.symlink_to("/dev/null")
    target = shop.tape.with_name(".vtspolicy-1-1")
    assert shop("restore", f"--to={target}").exit_code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_bytes() == CONTENT
    assert not shop.tape.exists() or there == "a link"


def test_the_sha256_of_a_copy_is_reported_as_it_was_read_back(shop):
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    made = json.loads(shop("archive", "--json").stdout)
    assert (made["digest"], made["bytes"]) == (sha256, len(CONTENT))
    assert "digest" not in json.loads(shop("query", "--json").stdout)
    found = json.loads(shop("query", "--verify", "--json").stdout)
    assert (found["digest"], found["tape"]) == (sha256, "unchanged")


def test_a_tape_that_was_read_or_given_to_another_owner_is_unchanged(shop):
    shop("archive")
    shop.tape.chmod(0o600)
    os.utime(shop.tape, ns=(WRITTEN + 1, WRITTEN))
    assert json.loads(shop("query", "--json").stdout)["tape"] == "unchanged"


@pytest.mark.parametrize("where", [20, -1000, -3])
def test_a_flipped_byte_in_the_store_is_never_restored(shop, where):
    shop("archive")
    data = bytearray(shop.place.data.read_bytes())
    data[where] ^= 0x10
    shop.place.data.write_bytes(data)
    erase(shop)
    assert shop("query").exit_code == 0, "a quick query does not read the data"
    read = shop("query", "--verify", "--json")
    assert (read.exit_code, read.stdout) == (1, "")
    answer = shop("restore")
    assert answer.exit_code == 1
    assert "the copy is damaged" in answer.stderr
    assert shop.tape.stat().st_size == 0
    assert shop.names() == ["7-1", "7-1.json", "7-1.zst"]


def test_a_valid_file_that_is_another_tapes_is_reported_by_its_checksum(shop):
    shop("archive")
    swapped = zstandard.ZstdCompressor().compress(bytes(len(CONTENT)))
    shop.place.data.write_bytes(swapped)
    record = json.loads(shop.place.manifest.read_text())
    shop.place.manifest.write_text(json.dumps(record | {"stored": len(swapped)}))
    erase(shop)
    answer = shop("restore")
    assert answer.exit_code == 1
    assert "wrong checksum" in answer.stderr
    assert shop.tape.stat().st_size == 0


@pytest.mark.parametrize(
    ("size", "why"),
    [(len(CONTENT) - 1, "holds 2999999 bytes"), (len(CONTENT) + 5_000_000, "holds more than")],
)
def test_a_copy_of_the_wrong_length_is_refused(shop, size, why):
    shop("archive")
    other = zstandard.ZstdCompressor().compress(bytes(size))
    shop.place.data.write_bytes(other)
    record = json.loads(shop.place.manifest.read_text())
    shop.place.manifest.write_text(json.dumps(record | {"stored": len(other)}))
    answer = shop("query", "--verify")
    assert answer.exit_code == 1
    assert why in answer.stderr


def test_a_shortened_copy_fails_even_a_quick_query(shop):
    shop("archive")
    os.truncate(shop.place.data, shop.place.data.stat().st_size - 1)
    answer = shop("query")
    assert answer.exit_code == 1
    assert "the manifest says" in answer.stderr


def test_query_shows_what_the_tape_is_beside_its_copy(shop):
    def state():
        return json.loads(shop("query", "--json", handle=None).stdout)["tape"]

    shop("archive")
    assert state() == "unchanged"
    os.utime(shop.tape)
    assert state() == "changed"
    erase(shop)
    assert state() == "erased"
    shop.tape.unlink()
    assert state() == "absent"


@pytest.mark.parametrize("verb", ["query", "restore"])
def test_without_a_copy_the_answer_is_1_and_nothing_is_printed(shop, verb):
    shop("archive", handle="other")
    erase(shop)
    answer = shop(verb, "--json")
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "no copy with handle 7-1" in answer.stderr


@pytest.mark.parametrize("verb", ["query", "restore", "delete"])
def test_a_store_that_is_not_mounted_is_not_an_empty_store(shop, verb):
    shop.store.mkdir()
    answer = shop(verb)
    assert answer.exit_code == 1
    assert "not a store, or its disk is not mounted" in answer.stderr


def test_a_store_is_not_made_where_its_disk_is_missing(shop):
    away = evolve(shop, store=shop.store / "disk7" / "store")
    answer = away("archive")
    assert answer.exit_code == 1
    assert "does not exist" in answer.stderr
    assert not shop.store.exists()


def test_delete_removes_one_copy_and_says_when_it_is_gone_already(shop):
    shop("archive")
    shop("archive", handle="8-1")
    assert shop("delete").exit_code == 0
    assert shop("query").exit_code == 1
    assert shop("query", "--verify", handle="8-1").exit_code == 0
    again = shop("delete")
    assert again.exit_code == 0
    assert "nothing to delete" in again.output
    assert shop.names() == ["8-1", "8-1.json", "8-1.zst"]
    assert shop.tape.read_bytes() == CONTENT


def test_a_lost_link_does_not_lose_the_copy(shop):
    shop("archive")
    shop.place.index.unlink()
    assert shop("query").exit_code == 0
    assert json.loads(shop("archive", "--json").stdout)["already"] is True
    assert shop("delete").exit_code == 0
    assert shop.names() == []


@pytest.mark.parametrize(
    "target",
    ["../../../../etc/passwd", "/etc/passwd", "../tapes/../../x/7-1.json", "../tapes/x/8-1.json"],
)
def test_a_forged_link_leads_nowhere(shop, target):
    shop("archive", handle="1-1")
    shop.place.index.symlink_to(target)
    for verb in ("archive", "query", "delete"):
        assert shop(verb).exit_code == 1
    assert shop.place.index.is_symlink()


def _symlink(path, real):
    path.symlink_to(real)


def _hardlink(path, real):
    path.hardlink_to(real)


def _fifo(path, real):
    os.mkfifo(path)


def _folder(path, real):
    path.mkdir()


def _socket_like_device(path, real):
    path.symlink_to("/dev/null")


def _empty(path, real):
    path.touch()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (_symlink, "symbolic link"),
        (_hardlink, "2 names"),
        (_fifo, "not a regular file"),
        (_folder, "a folder"),
        (_socket_like_device, "symbolic link"),
        (_empty, "empty"),
    ],
)
def test_what_is_not_a_tape_with_data_is_not_archived(shop, make, why):
    odd = shop.tape.with_name("ODD")
    make(odd, shop.tape)
    answer = shop("archive", path=odd)
    assert answer.exit_code == 1
    assert why in answer.stderr
    assert not list(shop.store.rglob("*.json"))


@pytest.mark.parametrize("make", [_symlink, _hardlink, _fifo, _folder])
def test_a_restore_never_writes_on_what_is_not_a_tape(shop, make):
    shop("archive")
    odd = shop.tape.with_name("ODD")
    make(odd, shop.tape)
    before = odd.lstat()
    answer = shop("restore", f"--to={odd}", "--replace")
    assert answer.exit_code == 1
    assert (odd.lstat().st_ino, odd.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert shop.tape.read_bytes() == CONTENT


def test_a_tape_that_does_not_exist_is_said_so(shop):
    answer = shop("archive", path=shop.tape.with_name("NONE"))
    assert answer.exit_code == 1
    assert "there is no such tape" in answer.stderr


def _grow(tape):
    with tape.open("ab") as file:
        file.write(b"more")


def _rewrite(tape):
    with tape.open("r+b") as file:
        file.write(b"other")


def _shrink(tape):
    os.truncate(tape, 100)


def _swap(tape):
    tape.unlink()
    tape.write_bytes(CONTENT)
    os.utime(tape, ns=(WRITTEN, WRITTEN))


def _link(tape):
    tape.with_name("SECOND").hardlink_to(tape)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_grow, "written or replaced"),
        (_rewrite, "written or replaced"),
        (_shrink, "became shorter"),
        (_swap, "written or replaced"),
        (_link, "2 names"),
    ],
)
def test_a_tape_that_changes_while_it_is_read_leaves_no_copy(shop, monkeypatch, change, why):
    read = os.readv
    pending = [change]

    def read_and_change(descriptor, buffers):
        found = read(descriptor, buffers)
        if pending:
            pending.pop()(shop.tape)
        return found

    monkeypatch.setattr(os, "readv", read_and_change)
    answer = shop("archive")
    assert answer.exit_code == 1
    assert why in answer.stderr
    assert not pending
    assert shop.names() == []


def test_a_tape_written_during_the_restore_is_left_alone(shop, monkeypatch):
    shop("archive")
    erase(shop)
    dress = restore_room._dress

    def dress_late(*arguments):
        shop.tape.write_bytes(b"a host has mounted it")
        return dress(*arguments)

    monkeypatch.setattr(restore_room, "_dress", dress_late)
    answer = shop("restore")
    assert answer.exit_code == 1
    assert "was written during the restore" in answer.stderr
    assert shop.tape.read_bytes() == b"a host has mounted it"


def test_an_owner_that_cannot_be_given_is_a_warning(shop, monkeypatch):
    shop("archive")
    record = json.loads(shop.place.manifest.read_text())
    shop.place.manifest.write_text(json.dumps(record | {"uid": record["uid"] + 1}))
    shop.tape.unlink()

    def refused(*_arguments):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refused)
    answer = shop("restore")
    assert answer.exit_code == 3
    assert "owner" in answer.stderr
    assert shop.tape.read_bytes() == CONTENT


def test_two_runs_under_one_handle_do_not_meet(shop):
    shop("archive", handle="1-1")
    with claimed(shop.place.lock, "held"):
        for verb in ("archive", "delete"):
            answer = shop(verb)
            assert answer.exit_code == 1
            assert "another run is busy" in answer.stderr
    assert shop("archive").exit_code == 0


def test_two_restores_of_one_tape_do_not_meet(shop):
    shop("archive")
    erase(shop)
    with claimed(unfinished_restore(shop.tape), "held"):
        answer = shop("restore")
    assert answer.exit_code == 1
    assert "another run is restoring" in answer.stderr
    assert shop("restore").exit_code == 0


def test_a_left_over_that_is_a_hard_link_is_not_written_through(shop):
    shop("archive")
    erase(shop)
    precious = shop.tape.with_name("PRECIOUS")
    precious.write_bytes(b"precious")
    unfinished_restore(shop.tape).hardlink_to(precious)
    assert shop("restore").exit_code == 0
    assert precious.read_bytes() == b"precious"


@pytest.mark.parametrize("verb", ["archive", "restore"])
def test_a_full_disk_is_named_and_leaves_nothing(shop, verb):
    # A limit on the size of a file stands for the full disk: it needs no rights and no mount.
    if verb == "restore":
        shop("archive")
        erase(shop)
    limited = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20));"
        "from vtspolicy.cli.disk import disk; disk()"
    )
    before = shop.names()
    words = [verb, str(shop.tape), f"--store={shop.store}", "--handle=7-1"]
    answer = subprocess.run(
        [sys.executable, "-c", limited, *words], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    folder = shop.store if verb == "archive" else shop.tape.parent
    assert f"no space left in {folder}" in answer.stderr
    assert shop.names() == before
    if verb == "restore":
        assert shop.tape.stat().st_size == 0


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("verb", ["archive", "restore"])
def test_a_signal_stops_the_work_and_leaves_nothing(shop, verb, name, code):
    if verb == "restore":
        shop("archive")
        erase(shop)
    # The signal comes from inside, at the first write, so that it always falls into the work.
    signalled = (
        "import os, signal; real = os.write\n"
        f"def write(*a): os.kill(os.getpid(), signal.{name}); return real(*a)\n"
        "os.write = write\n"
        f"signal.signal(signal.{name}, signal.SIG_DFL)\n"
        "from vtspolicy.cli.disk import disk; disk()"
    )
    before = shop.names()
    words = [verb, str(shop.tape), f"--store={shop.store}", "--handle=7-1"]
    answer = subprocess.run(
        [sys.executable, "-c", signalled, *words], capture_output=True, text=True, check=False
    )
    assert answer.returncode == code
    assert f"stopped by {name}" in answer.stderr
    assert shop.names() == before
    assert shop.tape.stat().st_size == (0 if verb == "restore" else len(CONTENT))


@pytest.mark.parametrize(
    "words",
    [
        ["archive", "/V/p/A", "--store=/s"],
        ["delete", "/V/p/A", "--store=/s"],
        ["query", "/V/p/A"],
        ["query", "/V/p/A", "--store=/s", "--handle=../x"],
        ["query", "/V/../A", "--store=/s"],
        ["shred", "/V/p/A"],
    ],
)
def test_wrong_usage_is_2(words):
    assert CliRunner().invoke(disk, words).exit_code == 2


def test_a_terminal_gets_a_bar_and_the_result_stays_clean(shop):
    ours, theirs = pty.openpty()
    words = ["archive", str(shop.tape), f"--store={shop.store}", "--handle=7-1", "--json"]
    environment = os.environ | {"TERM": "xterm"}
    answer = subprocess.run(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=theirs, check=True, env=environment
    )
    os.close(theirs)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert json.loads(answer.stdout)["size"] == len(CONTENT)
    assert b"\x1b[" in shown


def test_the_program_starts_with_little(shop):
    # Each of these costs a noticeable part of a run on a small tape.
    code = (
        "import sys; from vtspolicy.cli.disk import disk; disk(standalone_mode=False);"
        "print(sorted({'rich', 'twisted', 'yaml', 'pyparsing', 'cattrs'} & set(sys.modules)))"
    )
    words = ["archive", str(shop.tape), f"--store={shop.store}", "--handle=7-1"]
    answer = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert answer.stdout.splitlines()[-1] == "[]"
