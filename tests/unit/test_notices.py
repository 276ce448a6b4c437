"""Notices: one line each, with any value."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.notices import (
    KEYS,
    TEXT_LIMIT,
    Notice,
    Word,
    ems_line,
    json_line,
    system_name,
    text,
)

AT = datetime(2026, 11, 22, 2, 14, 9)  # noqa: DTZ001  displays bear local time


def notice(word=Word.COMPLETED, **fields):
    return Notice(word=word, host="NSK1", fields=fields, id=7, created=0.0)


def test_a_notice_is_a_display_line_with_its_keys_in_their_order():
    line = ems_line(
        notice(secs=3, req=17, reason="all is well", ref="one"), node="vts1.example.com", at=AT
    )
    assert line == (
        b"26-11-22 02:14:09 \\VTS1.$VTSP VTS.POLICY.A01 1301 "
        b'VTSPolicy COMPLETED req=17 ref=one secs=3 reason="all is well"\n'
    )


def test_a_notice_for_json_has_the_same_fields_and_its_number():
    record = json.loads(json_line(notice(Word.FAILED, req=17, rc=7, id="e-1"), node="v", at=AT))
    assert record["word"] == "FAILED"
    assert record["number"] == 1303
    assert (record["req"], record["rc"], record["id"], record["notice"]) == (17, 7, "e-1", 7)
    assert record["action_needed"] is True
    assert record["text"] == "VTSPolicy FAILED req=17 rc=7 id=e-1"


@given(st.dictionaries(st.sampled_from(KEYS), st.text(max_size=400) | st.integers(), max_size=18))
def test_no_value_ends_its_line_or_makes_the_text_too_long(fields):
    line = text(notice(**fields))
    assert len(line) <= TEXT_LIMIT
    assert line.splitlines() == [line]
    assert line.count('"') % 2 == 0 or len(line) == TEXT_LIMIT


@pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u200b", "\ufeff", "\u2028", "\x85", "\xad"])
def test_nothing_in_a_notice_is_unseen_or_turns_the_text(sign):
    told = notice(reason=f"the{sign}pool", tape=f"/VAULT01/P/A{sign}1")
    record = json.loads(json_line(told, node="vts1", at=AT))
    assert record["reason"] == "the pool"
    assert record["tape"] == "/VAULT01/P/A 1"
    assert record["text"] == text(told)
    assert text(told) == 'VTSPolicy COMPLETED tape="/VAULT01/P/A 1" reason="the pool"'


def test_a_long_reason_is_cut_and_the_keys_after_it_are_kept():
    line = text(notice(req=1, reason="x" * 500, id="e-77"))
    assert len(line) <= TEXT_LIMIT
    assert line.endswith("... id=e-77")


def test_a_long_reason_gives_up_the_exit_code_before_the_cause():
    before = "exit code 12, which the table does not list: "
    cause = "ANS1311E " + "server out of data storage space " * 4
    line = text(notice(req=1, rc=12, tape="/VAULT01/PAYROLL/A00017", reason=before + cause))
    assert len(line) <= TEXT_LIMIT
    assert 'rc=12 reason="ANS1311E server out of' in line
    short = text(notice(req=1, rc=12, reason=before + "no space"))
    assert before in short


def test_the_system_is_the_first_label_of_the_node_in_capitals():
    assert system_name("vts-1.example.com") == "\\VTS1"
    assert system_name("...") == "\\VTS"


def test_no_field_of_a_notice_for_json_holds_a_control_sequence():
    told = notice(reason="x\x1b]0;title\x07 \x9b2J end", tape="/VAULT01/P/A\x1b[31m")

    record = json.loads(json_line(told, node="vts1", at=AT))

    assert record["reason"] == "x ]0;title   2J end"
    assert [value for value in record.values() if not str(value).isprintable()] == []
