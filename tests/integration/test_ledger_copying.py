"""Copies of the ledger to one name: each is whole, also when others are made, or were killed."""

import os
import sqlite3
import threading
from contextlib import closing

import pytest

from vtspolicy.ledger import LedgerError, open_ledger
from vtspolicy.ledger.sqlite import copies
from vtspolicy.ledger.sqlite.copies import ABANDONED, copy
from vtspolicy.ledger.sqlite.database_file import make

TIMEOUT = 120.0


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "ledger.db"
    make(path)
    return path


@pytest.fixture
def target(tmp_path):
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies" / "copy.db"


def whole(path):
    with open_ledger(path) as tx, closing(sqlite3.connect(path)) as connection:
        return tx.meta.uid() and connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_two_that_are_made_at_once_are_both_made(source, target, monkeypatch):
    appear, together, failed = copies.appear, threading.Barrier(2, timeout=TIMEOUT), []

    def wait_for_the_other(part, place):
        together.wait()
        appear(part, place)

    def make_one():
        try:
            copy(source, target)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)
            together.abort()

    monkeypatch.setattr(copies, "appear", wait_for_the_other)
    threads = [threading.Thread(target=make_one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [each.name for each in target.parent.iterdir()] == ["copy.db"]
    assert whole(target)


def test_what_a_killed_one_left_is_removed_and_nothing_that_is_being_made(source, target):
    folder = target.parent
    kept = [".copy.db.12ab.part", ".other.db.12ab.part", "copy.db.part"]
    gone = [".copy.db.34cd.part", ".copy.db.34cd.part-journal"]
    for name in (*kept, *gone):
        (folder / name).write_text("half")
    now = (folder / kept[0]).stat().st_mtime
    for name in (*kept[1:], *gone):
        os.utime(folder / name, (now, now - ABANDONED - 60))
    copy(source, target)
    assert sorted(each.name for each in folder.iterdir()) == sorted([*kept, "copy.db"])


@pytest.mark.parametrize("what", ["text", "folder", "pipe", "lost link", "link to text"])
def test_another_file_than_a_copy_is_not_replaced(source, target, what):
    other = target.with_name("rules.yaml")
    other.write_text("rules: []\n")
    if what == "text":
        target.write_text("rules: []\n")
    elif what == "folder":
        target.mkdir()
    elif what == "pipe":
        os.mkfifo(target)
    else:
        target.symlink_to(other if what == "link to text" else "nowhere")
    before = target.lstat().st_ino
    with pytest.raises(LedgerError, match="is there and is not a copy of a ledger"):
        copy(source, target)
    assert target.lstat().st_ino == before
    assert sorted(each.name for each in target.parent.iterdir()) == ["copy.db", "rules.yaml"]


def test_an_empty_file_and_an_older_copy_are_replaced(source, target):
    target.touch()
    for _ in range(2):
        copy(source, target)
        assert whole(target)
