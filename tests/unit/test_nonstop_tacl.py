"""TACL of the simulated system: what its manuals say of prompts, lines and metacharacters."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.simulated_terminals import AT, Typist, logged_on, system
from vtspolicy.testing.nonstop.dialogue import Ask
from vtspolicy.testing.nonstop.lexical import BUFFER
from vtspolicy.testing.nonstop.terminal import LINE_LIMIT


def output(typist, *lines):
    """What lines show, without the prompt behind it."""
    return typist.type(*lines).rpartition("\n")[0].split("\n")


def test_the_number_of_the_prompt_grows_with_each_line_and_not_with_empty_ones():
    typist = logged_on()
    assert typist.prompt == "1> "
    typist.type("#OUTPUT x", "")
    assert typist.text().endswith("x\n2> \n2> ")
    typist.type("NONSENSE")
    assert typist.prompt == "3> "


def test_a_site_has_its_own_prompt():
    assert logged_on(prompt="$SYSTEM NOSUBVOL {n}>").prompt == "$SYSTEM NOSUBVOL 1>"


def test_a_line_is_cut_silently_at_239_bytes():
    typist = logged_on()
    command = "#OUTPUT "
    fits = "x" * (239 - len(command))
    assert output(typist, command + fits) == [fits]
    assert output(typist, command + fits + "yz") == [fits]
    assert LINE_LIMIT == 239


def test_a_line_is_cut_within_a_letter_of_two_bytes():
    typist = logged_on()
    typist.type("#OUTPUT " + "é" * 116)
    assert ("é" * 115).encode() + b"\xc3\r\n" in typist.data


@pytest.mark.parametrize(
    ("typed", "lines"),
    [
        ("#OUTPUT a b", ["a b"]),
        ("#output", [""]),
        ("#OUTPUT [#MYTERM]", ["$ZTN0.#PTY0001"]),
        ("[#OUTPUT x]", ["x"]),
        ("#OUTPUT a[#OUTPUT b]c", ["b", "ac"]),  # the inner one first; nothing is its result
        ("#OUTPUT [#OUTPUT [#OUTPUT 1]2]3", ["1", "2", "3"]),
        ("#OUTPUT a ~; #OUTPUT b", ["a ", "b"]),
        ("#OUTPUT a ~; NONSENSE ~; #OUTPUT b", ["a ", "*ERROR* There is no"]),
        ("#OUTPUT [#OUTPUT a~;#OUTPUT b]c", ["a", "b", "c"]),
        ("#OUTPUT a;b,c(d)/e", ["a;b,c(d)/e"]),  # separators are text of an output
        ("#OUTPUT a == b", ["a "]),
        ("#OUTPUT a{b}c", ["ac"]),
        ("#OUTPUT a~==b~[c~]~{d~}~|e~~f", ["a==b[c]{d}|e~f"]),
        ("#OUTPUT a~b", ["a?"]),  # a tilde and no metacharacter: a question mark
        ("#OUTPUT a~&b", ["a?b"]),
        ("#OUTPUT a~_b", ["a b"]),
        ("#OUTPUT a~", ["a"]),
        ("#OUTPUT a=b", ["a=b"]),
        ("#OUTPUT a|b", ["*ERROR* A label"]),
        ("#OUTPUT a]b", ["*ERROR* A bracket"]),
        ("#OUTPUT /HOLD/ a", ["a"]),
        ("#OUTPUT /a", ["*ERROR* The options"]),
        ("?TACL MACRO", [""]),
        ("??#OUTPUT a", ["a"]),
        ("== nothing", [""]),
        ("COMMENT nothing ~; #OUTPUT a", ["a"]),
        ("#WIDTH", ["*ERROR* There is no"]),
        ("RUN #OUTPUT a", ["a"]),
        ("( )", ["*ERROR* Name of a command"]),
    ],
)
def test_metacharacters_act(typed, lines):
    found = output(logged_on(), typed)
    assert [each[: len(line)] for each, line in zip(found, lines, strict=True)] == lines
    assert all(
        line.startswith("*") or each == line for each, line in zip(found, lines, strict=True)
    )


def test_an_ampersand_continues_the_line_also_before_a_comment():
    typist = logged_on()
    assert typist.type("#OUTPUT a &") == ""  # there is no prompt
    assert output(typist, "b") == ["a b"]
    assert output(typist, "#OUTPUT a & == said before", "b") == ["", "a b"]


def test_an_open_bracket_or_comment_continues_the_line():
    typist = logged_on()
    assert typist.type("[#OUTPUT a") == ""
    assert output(typist, "#OUTPUT b]") == ["a", "b"]
    assert typist.type("#OUTPUT c {") == ""
    assert output(typist, "not shown } d") == ["c  d"]
    assert typist.prompt == "3> "


def test_a_line_that_is_continued_for_ever_ends_at_the_size_of_the_buffer():
    typist = logged_on()
    typist.type(*(["x" * 238 + "&"] * (BUFFER // 238 + 2)))
    assert typist.text().count("*ERROR* There is no command") == 1


def test_break_forgets_a_line_that_is_not_complete():
    typist = logged_on()
    typist.type("#OUTPUT a &")
    typist.session.press_break()
    assert output(typist, "#OUTPUT b") == ["b"]


def test_expansion_without_an_end_is_found_out():
    typist = logged_on()
    typist.type("#PUSH x", "#INPUTV x", "[x]")
    assert output(typist, "#OUTPUT [x]") == ["*ERROR* The text buffer is full"]
    assert output(typist, "#OUTPUT a") == ["a"]


def test_a_question_mark_shows_an_earlier_line_and_an_exclamation_mark_runs_it():
    typist = logged_on()
    typist.type("#OUTPUT a", "#OUTPUT b")
    assert output(typist, "? 1") == ["#OUTPUT a"]
    assert output(typist, "?#out") == ["#OUTPUT b"]
    assert output(typist, "! 1") == ["#OUTPUT a", "a"]
    assert output(typist, "! 77") == ["*ERROR* There is no such line"]
    assert output(typist, "? 77") == ["*ERROR* There is no such line"]


def test_the_result_of_a_function_that_stands_alone_is_shown():
    assert output(logged_on(), "#MYTERM") == ["#MYTERM expanded to:", "$ZTN0.#PTY0001"]


def test_a_semicolon_is_given_to_the_program():
    typist = logged_on()
    assert output(typist, "MEDIACOM STATUS TAPEMOUNT; STATUS TAPEMOUNT")[0].startswith("Tape")
    assert list(typist.system.commands) == ["MEDIACOM STATUS TAPEMOUNT; STATUS TAPEMOUNT"]


def test_with_plain_everything_is_text():
    typist = logged_on()
    typist.type("#SET #INFORMAT PLAIN")
    assert output(typist, "#OUTPUT [#OUTPUT x] ~; {y} == z | &") == ["[#OUTPUT x] ~; {y} == z | &"]
    typist.type("#SET #INFORMAT TACL")
    assert output(typist, "[#OUTPUT x]") == ["x"]


def test_with_quoted_what_is_in_quotation_marks_is_text():
    typist = logged_on(informat="QUOTED")
    assert output(typist, '#OUTPUT "[#MYTERM]~;" [#MYTERM]') == ['"[#MYTERM]~;" $ZTN0.#PTY0001']


def test_informat_has_three_values_and_levels():
    typist = logged_on()
    assert output(typist, "#SET #INFORMAT SIMPLE") == ["*ERROR* Illegal value"]
    typist.type("#PUSH #INFORMAT", "SET VARIABLE #INFORMAT PLAIN")
    assert output(typist, "#INFORMAT")[1] == "PLAIN"
    typist.type("#POP #INFORMAT")
    assert output(typist, "#INFORMAT")[1] == "TACL"
    assert output(typist, "#POP #INFORMAT") == ["*ERROR* #INFORMAT was not pushed"]


def test_variables_have_levels():
    typist = logged_on()
    assert output(typist, "#SET x 1") == ["*ERROR* Variable does not exist"]
    typist.type("#PUSH x", "#SET x 1", "PUSH X", "#SET x 2")
    assert output(typist, "#OUTPUT [x]") == ["2"]
    typist.type("#POP x")
    assert output(typist, "#OUTPUTV x") == ["1"]
    typist.type("POP x")
    assert output(typist, "OUTVAR x") == ["*ERROR* Variable does not exist"]


def test_what_is_read_acts_by_the_format_of_the_reading():
    typist = logged_on()
    assert typist.type("#OUTPUT <[#INPUT What? ]>") == "What? "
    assert output(typist, "[#MYTERM]") == ["<$ZTN0.#PTY0001>"]
    typist.type("#PUSH x", "#INPUTV x", "~[a~]")
    assert output(typist, "#OUTPUT [x]") == ["[a]"]


text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"))
acting = st.text("[]{}|~=;&?! #OUTPUTx\"'")


@given(st.lists(text | acting, max_size=5).map("".join))
def test_plain_text_is_read_as_it_was_typed(typed):
    typist = logged_on()
    typed = typed.encode()[:LINE_LIMIT].decode(errors="ignore")
    typist.type("#PUSH x", "#SET #INFORMAT PLAIN", "#INPUTV x", typed)
    assert typist.session.console.system.commands[-1] == "#INPUTV x"
    typist.type("#OUTPUTV x")
    assert typist.data.endswith(b"4> \r\n" + typed.encode() + b"\r\n5> ")


@given(st.text("ab []~;", max_size=20))
def test_text_at_the_prompt_that_is_shown_as_it_was_typed_has_nothing_that_acts(typed):
    """A bracket or a tilde never passes the prompt as text."""
    typist = logged_on()
    typist.type("#OUTPUT " + typed)
    shows = typist.data.endswith(b"1> \r\n" + typed.encode() + b"\r\n2> ")
    assert shows == (re.search(r"[\[\]~]", typed) is None)


@given(st.text("ab []{}|~=", max_size=30))
def test_escaped_text_never_acts_at_the_prompt(typed):
    escaped = re.sub(r"[\[\]{}|~]|==", r"~\g<0>", typed)
    typist = logged_on()
    typist.type("#OUTPUT " + escaped)
    assert typist.data.endswith(b"1> \r\n" + typed.encode() + b"\r\n2> ")


def test_a_command_over_ssh_is_one_line_of_tacl():
    typist = Typist(command="#OUTPUT a ~; #OUTPUT b")
    assert typist.text() == "a \nb\n"
    assert typist.ends == [True]


@pytest.mark.parametrize("command", ["NONSENSE", "#OUTPUT a &", "MEDIACOM NONSENSE", "EMSDIST x"])
def test_a_command_over_ssh_that_fails_says_so(command):
    assert Typist(command=command).ends == [False]


def test_what_is_known_by_name():
    typist = logged_on()
    assert output(typist, "TIME") == [f"{AT:%d %b %Y, %H:%M}:11".upper()]
    assert "Userid: VTS.EMS" in output(typist, "WHO")
    assert output(typist, "STOP") == ["*ERROR* No process to stop"]
    assert output(typist, "SET INSPECT ON") == ["*ERROR* SET INSPECT is not simulated"]
    assert output(typist, "#PUSH #OUT") == ["*ERROR* #OUT is not simulated"]


def test_the_routine_of_a_site_reads_and_shows():
    def greet(tacl, rest):
        name = yield Ask("Who? ")
        return f"{rest} {name}"

    typist = logged_on(routines={"GREET": greet})
    assert typist.type("#OUTPUT [GREET Hello]") == "Who? "
    assert output(typist, "[#MYTERM]") == ["Hello [#MYTERM]"]


def test_vtsreply_posts_plain_lines_until_an_empty_one():
    at = system()
    typist = logged_on(at)
    assert typist.type("VTSREPLY 1301") == "VTSREPLY> "
    typist.type("VTSPolicy COMPLETED reason=[#OUTPUT x]~;", "second &")
    assert output(typist, "") == ["2 posted"]
    assert [(each.number, each.text) for each in at.events] == [
        (1301, "VTSPolicy COMPLETED reason=[#OUTPUT x]~;"),
        (1301, "second &"),
    ]
    assert list(at.commands) == ["VTSREPLY 1301"]
    assert output(typist, "VTSREPLY x") == ["*ERROR* The argument of VTSREPLY is an event number"]
