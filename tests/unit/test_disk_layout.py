"""Names in a store: what a handle may be, and where a copy is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.runner.disk.failure import BadHandleError, DiskError, shown
from vtspolicy.runner.disk.layout import (
    CopyFiles,
    checked_handle,
    handles_among,
    tape_path,
    unfinished_restore,
)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
PLACE = CopyFiles(store=Path("/store"), tape=Path("/VAULT01/PAY/A00017"), handle="42-1")


@pytest.mark.parametrize("handle", ["42-1", "a", "A_b.c-9", "x" * 128])
def test_letters_digits_and_three_signs_make_a_handle(handle):
    assert checked_handle(handle) == handle


@pytest.mark.parametrize(
    ("handle", "why"),
    [
        ("", "empty"),
        (".", "begins with a dot"),
        ("..", "begins with a dot"),
        (".hidden", "begins with a dot"),
        ("x" * 129, "129 characters"),
        ("a/b", "'/' at position 2"),
        ("42-1\n", r"'\\n' at position 5"),
        ("a b", "' ' at position 2"),
        ("\N{LATIN SMALL LETTER U WITH DIAERESIS}", "at position 1"),
        ("a\0", "at position 2"),
    ],
)
def test_a_handle_that_is_refused_says_why(handle, why):
    with pytest.raises(BadHandleError, match=why):
        checked_handle(handle)


@given(st.text(max_size=140))
def test_a_checked_handle_is_one_plain_file_name(handle):
    try:
        checked_handle(handle)
    except BadHandleError:
        assert (
            not handle
            or len(handle) > 128
            or handle.startswith(".")
            or any(each not in LETTERS for each in handle)
        )
    else:
        assert Path("/a", handle).name == handle
        assert set(handle) <= set(LETTERS)


def test_a_person_finds_the_tape_by_its_path():
    assert PLACE.data == Path("/store/tapes/VAULT01/PAY/A00017/42-1.zst")
    assert PLACE.manifest == Path("/store/tapes/VAULT01/PAY/A00017/42-1.json")


def test_the_link_of_a_handle_leads_to_the_manifest_wherever_the_store_is_mounted():
    assert PLACE.index == Path("/store/handles/42-1")
    assert PLACE.index_target == Path("../tapes/VAULT01/PAY/A00017/42-1.json")


def test_what_is_unfinished_is_beside_what_it_becomes_and_is_hidden():
    for unfinished in (*PLACE.unfinished, PLACE.lock):
        assert unfinished.name.startswith(".")
    assert [each.parent for each in PLACE.unfinished] == [PLACE.folder, PLACE.folder]
    assert unfinished_restore(Path("/V/p/A1")) == Path("/V/p/.A1.restore.part")


def test_a_tape_has_one_name_however_it_is_written():
    here = Path("/VAULT01")
    for written in ("/VAULT01/PAY/A1", "//VAULT01//PAY/A1", "PAY/A1", "./PAY/./A1"):
        assert tape_path(written, here) == Path("/VAULT01/PAY/A1")


@pytest.mark.parametrize("path", ["", "/V/../etc/passwd", "..", "/V/pool/", "a\0b"])
def test_a_path_that_cannot_be_a_tape_is_refused(path):
    with pytest.raises(DiskError):
        tape_path(path, Path("/VAULT01"))


def test_only_whole_copies_count_among_the_files_of_a_folder():
    names = ["2.json", "2.zst", "1.json", ".3.json.part", "3.zst", ".4.json", "sub"]
    assert handles_among(names) == ["1", "2"]


def test_a_name_that_could_upset_a_terminal_is_escaped():
    assert shown("/V/A1") == "/V/A1"
    assert shown("/V/\x1b[2J") == r"'/V/\x1b[2J'"
    assert shown("/V/\udcff") == r"'/V/\udcff'"
