"""Private names: never tapes, and read back as they were made."""

import errno
import hashlib
import mmap
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.grammar import Target
from vtspolicy.vaults import InUseError, System, VaultBusyError, VaultError, Vaults
from vtspolicy.vaults.private import KINDS, STAGING, parsed, private

CARTRIDGES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=30
)
TOKENS = st.from_regex(r"[A-Za-z0-9-]{1,60}", fullmatch=True).filter(
    lambda token: not set(KINDS) & set(token.split("-"))
)


@given(token=TOKENS, kind=st.sampled_from(KINDS), cartridge=CARTRIDGES)
def test_a_private_name_shows_what_it_was_made_of(token, kind, cartridge):
    cartridge = "" if kind == STAGING else cartridge
    assert parsed(private(token, kind, cartridge)) == (token, kind, cartridge)


@pytest.mark.parametrize("name", [".vtspolicy-clock", ".vtspolicy-probe-12-1", ".hidden", "A00017"])
def test_other_names_are_not_private_ones(name):
    assert parsed(name) is None


@pytest.mark.parametrize("token", ["", "a/b", "j1-delete", "restore", "x" * 61, "j1\n"])
def test_a_token_that_could_not_be_read_back_is_refused(token):
    with pytest.raises(ValueError, match="token"):
        private(token, "delete", "A00017")


def test_a_name_without_room_for_a_private_one_is_refused():
    with pytest.raises(VaultError, match="too long"):
        private("j1-1", "restore", "A" * 240)


@pytest.fixture
def vaults(tmp_path):
    pool = tmp_path / "PAY"
    pool.mkdir()
    (pool / "A00017").write_bytes(b"data")
    return Vaults({"VAULT01": tmp_path})


def tape_of(vaults):
    return vaults.find(Target(vault="VAULT01", pool="PAY", cartridge="A00017")).tapes[0]


def test_private_files_are_leftovers_and_not_tapes(vaults):
    tape = tape_of(vaults)
    Path(vaults.new_target(tape, "j1-1")).write_bytes(b"half")
    vaults.new_staging(tape, "j2-1")
    assert [each.cartridge for each in vaults.all()] == ["A00017"]
    assert vaults.leftovers("VAULT01") == [
        ("PAY", "j1-1", "restore", "A00017"),
        ("PAY", "j2-1", "staging", ""),
    ]
    vaults.recover(tape, "j1-1")
    vaults.discard(tape, "j2-1")
    assert vaults.leftovers("VAULT01") == []


def test_what_a_killed_application_has_left_of_the_private_file_goes_with_it(vaults):
    tape = tape_of(vaults)
    target = Path(vaults.new_target(tape, "j1-1"))
    unfinished = target.with_name(f".{target.name}.restore.part")
    other = target.with_name(f".{target.name.replace('j1-1', 'j1-2')}.restore.part")
    for each in (unfinished, other):
        each.write_bytes(b"half")
    vaults.discard(tape, "j1-1")
    assert not unfinished.exists()
    assert other.exists()


def test_a_tape_that_a_crash_in_a_delete_left_aside_gets_its_name_back(vaults):
    tape = tape_of(vaults)
    file = Path(tape.path)
    file.rename(file.with_name(".vtspolicy-j1-1-delete-A00017"))
    assert vaults.undo_delete(tape, "j1-1") is True
    assert vaults.undo_delete(tape, "j1-1") is False
    assert file.read_bytes() == b"data"


def test_a_tape_whose_name_was_taken_is_kept_and_never_taken_for_a_later_one(vaults):
    tape = tape_of(vaults)
    file = Path(tape.path)
    aside = file.with_name(".vtspolicy-j1-1-delete-A00017")
    file.rename(aside)
    file.write_bytes(b"new")
    with pytest.raises(VaultError, match=r"\.vtspolicy-j1-1-kept-A00017 has data of .*A00017"):
        vaults.undo_delete(tape, "j1-1")
    kept = file.with_name(".vtspolicy-j1-1-kept-A00017")
    assert (file.read_bytes(), kept.read_bytes()) == (b"new", b"data")
    file.unlink()  # a newer tape of that name was deleted: the older one must not come to light
    assert vaults.undo_delete(tape, "j1-1") is False
    with pytest.raises(VaultError, match="kept-A00017 may have data"):
        vaults.recover(tape, "j1-1")
    assert not file.exists()
    assert kept.read_bytes() == b"data"


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_machine_without_descriptors_is_busy(vaults, number):
    tape = tape_of(vaults)
    vaults.probe("VAULT01")

    class Poor(System):
        def open(self, *_):
            raise OSError(number, os.strerror(number))

    vaults.system = Poor()
    for act in (vaults.look, vaults.writer, vaults.moment, vaults.digest, vaults.erase):
        with pytest.raises(VaultBusyError):
            act(tape)


class Plain(System):
    """A file system that can neither exchange names nor spare the one that is there."""

    def rename_free(self, *_, **__):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    exchange = rename_free


def test_where_names_cannot_be_exchanged_a_delete_and_a_restore_of_a_missing_tape_work(vaults):
    vaults.system = Plain()
    tape = tape_of(vaults)
    assert vaults.missing("VAULT01") == ("exchange",)
    vaults.delete(tape, tape.seen, "j1-1")
    Path(vaults.new_target(tape, "j2-1")).write_bytes(b"back")
    assert vaults.exchange(tape, None, "j2-1") == vaults.look(tape).seen
    assert Path(tape.path).read_bytes() == b"back"
    assert vaults.leftovers("VAULT01") == []


def test_a_tape_that_is_mapped_for_writing_is_not_read_for_a_proof(vaults):
    """It could be written behind the reading without another time of its last write."""
    tape = tape_of(vaults)
    with Path(tape.path).open("r+b") as file, mmap.mmap(file.fileno(), 0) as pages:
        file.close()
        pages[:1] = b"D"
        tape = tape_of(vaults)
        with pytest.raises(InUseError, match="open for writing"):
            vaults.digest(tape, tape.seen)
    tape = tape_of(vaults)
    assert vaults.digest(tape, tape.seen).digest == hashlib.sha256(b"Data").hexdigest()
    with Path(tape.path).open("rb"):
        assert vaults.digest(tape).size == 4


def test_a_note_that_finds_no_room_is_told_before_anything_is_done(vaults, monkeypatch):
    tape = tape_of(vaults)
    Path(vaults.new_target(tape, "j1-1")).write_bytes(b"back")
    write = vaults.system.write
    monkeypatch.setattr(vaults.system, "write", lambda file, data: write(file, data[:10]))
    with pytest.raises(VaultError, match="No space"):
        vaults.exchange(tape, tape.seen, "j1-1")
    assert Path(tape.path).read_bytes() == b"data"
