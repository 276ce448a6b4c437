"""Properties of the language that hold for every command and for every mistake."""

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from pyparsing import ParseException

from tests.harness.grammar_texts import commands, edits, outcome
from vtspolicy.grammar import CommandError, diagnose, format_command, parse, shipped
from vtspolicy.grammar.diagnosis import explain
from vtspolicy.grammar.drawing import draw
from vtspolicy.grammar.syntax import application_tokens, grammar_of
from vtspolicy.grammar.values import plain_quotes

DRAWN = draw(shipped())
UNEXPLAINED = "found no command of the language"


@given(commands())
def test_a_printed_command_parses_to_the_same_command(command):
    assert evolve(parse(format_command(command)), warnings=()) == command


@given(commands())
def test_the_drawn_grammar_takes_what_the_parser_takes(command):
    DRAWN.parse_string(format_command(command), parse_all=True)


@given(commands())
def test_nothing_is_found_wrong_in_a_text_that_is_right(command):
    assert explain(format_command(command), shipped()).message == UNEXPLAINED


@given(commands(), st.sampled_from(" \t\n"), st.integers(1, 3))
def test_more_blanks_mean_the_same(command, blank, count):
    text = format_command(command)
    wide = text.replace("=", f"{blank * count}={blank}").replace(" ", blank * count)
    assert evolve(parse(wide), warnings=()) == command


@given(commands(), st.data())
@settings(max_examples=300)
def test_any_edit_parses_or_is_explained_within_the_text(command, data):
    text = data.draw(edits(format_command(command)))
    found = outcome(text)
    if isinstance(found, CommandError):
        assert 1 <= found.column <= len(text) + 1
        assert found.message != UNEXPLAINED
        assert len(found.message) + len(found.hint or "") <= 160
        assert f"{found.message}{found.hint}".isprintable()
        shown, caret, *_ = diagnose(text, found).splitlines()
        assert len(shown) <= 100
        assert len(caret) <= 100
        assert caret.strip() == "^"
    else:
        assert explain(text, shipped()).message == UNEXPLAINED
        DRAWN.parse_string(plain_quotes(text), parse_all=True)
        assert parse(format_command(found)).targets == found.targets


def grammar_tokens(text):
    """Return what the grammar makes of a text; None if nothing, or of a verb."""
    try:
        head, *rest = grammar_of(shipped()).parse_string(text).as_list()
    except ParseException:
        return None
    return [head, *rest] if shipped().families[head[0]].takes == "path" else None


@given(
    commands(), st.sampled_from(["'", '"']), st.sampled_from([" ", "\t", "\r\n ", "  "]), st.data()
)
@settings(max_examples=500)
def test_one_expression_reads_applications_as_the_grammar_does(command, quote, blank, data):
    text = format_command(command).replace("'", quote).replace(" ", blank)
    for _ in range(data.draw(st.integers(0, 2))):
        text = plain_quotes(data.draw(edits(text)))

    assert application_tokens(text, shipped()) == grammar_tokens(text)


@given(st.text(max_size=60).map(lambda rest: f"VTSPolicy {rest}"))
def test_any_text_parses_or_is_explained_within_the_text(text):
    found = outcome(text)
    if isinstance(found, CommandError):
        assert 1 <= found.column <= len(text) + 1
        assert found.message != UNEXPLAINED
