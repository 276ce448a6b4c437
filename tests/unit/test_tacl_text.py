"""Texts at a TACL prompt: the simulated host expands them, and nothing in them acts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.simulated_terminals import logged_on
from vtspolicy.links.tacl_text import (
    LINE_LIMIT,
    TemplateError,
    command_line,
    escaped,
    plain_line,
)
from vtspolicy.notices import Notice, Word, text

ACTING = "[#OUTPUT x] ~; == { } | & ? ! ; ~ PURGE \" ' / = [[ ]] \n \r \x03 \x19 \x00 \xff é €"
values = st.lists(st.sampled_from(ACTING.split(" ")) | st.text(max_size=8)).map("".join)
hostile = values | st.text("[]{}|~=&;?!/\"' ab", max_size=60)
formats = st.sampled_from(["TACL", "QUOTED", "PLAIN"])


@pytest.mark.parametrize("line", ["#OUTPUT <{}>", "#OUTPUT {}", "#OUTPUT ={}="])
@given(value=hostile, informat=formats)
def test_nothing_of_a_value_acts_at_the_prompt(line, value, informat):
    typist = logged_on(informat=informat)
    typist.type(line.format(escaped(value[:90])), "#OUTPUT next")
    assert len(typist.system.commands) == 2
    assert typist.text().endswith("\n2> \nnext\n3> ")


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="&;")))
def test_what_can_be_escaped_is_shown_as_it_was(value):
    value = f"a{value[:100]}z"
    assert f"\n{value}\n" in logged_on().type(f"#OUTPUT {escaped(value)}").join("\n\n")


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        ("a[b]", "a~[b~]"),
        ("a==b", "a~==b"),
        ("a=b", "a=b"),
        ("=a=", "-a-"),
        ("?a!", "-a-"),
        ("/VAULT01/P/", "-VAULT01/P-"),
        ("a & b; c", "a + b, c"),
        ("aé\n\x1bz", "a???z"),
        ("", ""),
    ],
)
def test_each_kind_of_character(value, typed):
    assert escaped(value) == typed


reasons = hostile.map(lambda reason: (reason * 20)[:600])
references = st.text("abcXYZ09-_.", min_size=1, max_size=32)


def notice(reason, ref, word=Word.FAILED):
    fields = {"req": 2**31, "ref": ref, "family": "DSK", "tape": "/V/P/" + "T" * 90, "rc": 12}
    return Notice(word=word, host="NSK1", fields={**fields, "reason": reason})


@given(reasons, references, st.sampled_from(Word))
def test_a_notice_in_a_command_keeps_its_word_and_references(reason, ref, word):
    line = command_line("#OUTPUT {number} {text} ~; #OUTPUT end", notice(reason, ref, word))
    assert len(line.encode()) <= LINE_LIMIT
    typist = logged_on()
    shown = typist.type(line).split("\n")
    assert shown[1:] == ["end", "2> "]
    assert shown[0].startswith(f"{word.number} VTSPolicy {word.name} req={2**31} ref={ref}")
    assert len(typist.system.commands) == 2


@given(reasons, references)
def test_a_notice_to_a_routine_is_posted_whole(reason, ref):
    said = plain_line(notice(reason, ref))
    assert len(said.encode("utf-8", "replace")) <= LINE_LIMIT
    typist = logged_on()
    typist.type("VTSREPLY 1303", said.encode("utf-8", "replace").decode(), "")
    (event,) = typist.system.events
    assert event.text == said.encode("utf-8", "replace").decode()
    assert event.text.startswith(f"VTSPolicy FAILED req={2**31} ref={ref} ")
    assert list(typist.system.commands) == ["VTSREPLY 1303"]


def test_the_longest_text_of_other_links_would_be_cut_by_tacl():
    room = 240 - len(text(notice("", "r"))) + len('""')
    longest = notice("x" * room, "r")
    assert len(text(longest)) == 240
    assert len(plain_line(longest)) <= LINE_LIMIT


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("POST", "no {text}"),
        ("POST " + "x" * 150 + " {text}", "room for 83"),
        (" {text}", "begins with the command"),
        ("POST {text} {text}", "one {text}"),
        ("POST {text} {reason}", "no place {reason}"),
        ("POST\n{text}", "one line"),
    ],
)
def test_a_template_that_cannot_work_is_refused(template, told):
    with pytest.raises(TemplateError, match=told):
        command_line(template, notice("x", "r"))
