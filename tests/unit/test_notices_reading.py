"""Notices are read back as they were written, in both forms; nothing else is taken for one."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.notices import (
    NODE_KEYS,
    NUMBERS,
    TEXT_LIMIT,
    Notice,
    Word,
    ems_line,
    json_line,
    read_line,
    text,
)

AT = datetime.fromisoformat("2026-11-22T02:14:09")
values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), max_size=20)
fields = st.fixed_dictionaries(
    {},
    optional={key: st.integers(-(10**9), 10**9) if key in NUMBERS else values for key in NODE_KEYS},
)
notices = st.builds(
    Notice, word=st.sampled_from(Word), host=st.just("NSK1"), fields=fields, id=st.integers(1)
)


def cleaned(value):
    """A value on a display: one line, without double quotes, without blanks at its ends."""
    if isinstance(value, int):
        return value
    return value.replace('"', "'").strip()


@given(notices)
def test_a_displayed_notice_is_read_back(notice):
    if len(text(notice)) >= TEXT_LIMIT - 20:  # it may have been cut
        return
    received = read_line(ems_line(notice, node="vts1.example.com", at=AT))
    assert received.word is notice.word
    assert received.fields == {key: cleaned(value) for key, value in notice.fields.items()}
    assert (received.time, received.system) == (AT, "\\VTS1")
    assert received.text == text(notice)


@given(notices)
def test_a_json_notice_is_read_back(notice):
    received = read_line(json_line(notice, node="vts1.example.com", at=AT))
    assert received.word is notice.word
    for key, value in notice.fields.items():
        # Digits in a place for a number are one, whichever way they were written.
        assert received.fields[key] == value
    assert received.fields.keys() == notice.fields.keys()
    assert (received.time, received.system) == (AT, "\\VTS1")
    assert received.number == notice.id


def test_a_notice_that_was_cut_is_read_as_far_as_it_goes():
    notice = Notice(
        word=Word.REJECTED, host="H", fields={"req": 7, "column": 3, "reason": "so " * 200}
    )
    received = read_line(ems_line(notice, node="vts1", at=AT))
    assert received.fields["req"] == 7
    assert received.fields["column"] == 3
    assert str(received.fields["reason"]).startswith("so so so")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"word": 5}',
        b'{"word": "ACCEPTED"}',
        b'{"word": "ACCEPTED", "time": 3, "system": "", "text": ""}',
        b"VTSPolicy ACCEPTED req=1",
        b"26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 1234 VTSPolicy ACCEPTED req=1",
        b"26-11-22 02:14:09 \\VTS1.$VTSP VTS.POLICY.A01 1001 VTSPolicy TAKEN req=1",
        b"26-13-22 02:14:09 \\VTS1.$VTSP VTS.POLICY.A01 1001 VTSPolicy ACCEPTED req=1",
        json.dumps({"ack": 1}).encode(),
        b"\xff\xfe\x00",
    ],
)
def test_anything_else_is_no_notice(line):
    assert read_line(line) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(line):
    read_line(line)
    read_line(b"26-11-22 02:14:09 \\VTS1.$VTSP VTS.POLICY.A01 1001 VTSPolicy ACCEPTED " + line)
    read_line(b"{" + line)
