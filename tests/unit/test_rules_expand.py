"""Templates become arguments: once, whole, and never an option that the rule did not write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtspolicy.rules.expand import (
    GROUP,
    ExpansionError,
    TemplateError,
    expand,
    expand_environment,
    expand_input,
    fill,
    names_in,
    parts_of,
)

VALUES = {"path": "/VAULT01/PAY/A1", "class": "KEEP", "dash": "-rf", "braces": "{path}"}


@pytest.mark.parametrize(
    ("template", "arguments"),
    [
        ("{path}", ["/VAULT01/PAY/A1"]),
        ("-archmc={class}", ["-archmc=KEEP"]),
        ("-optfile={optfile}", []),
        ("{path}{optfile}", []),
        ("{{path}}", ["{path}"]),
        ("{braces}", ["{path}"]),
        ("--x={dash}", ["--x=-rf"]),
        ("-{class}", ["-KEEP"]),
        (f"-c{GROUP}{{class}}", ["-c", "KEEP"]),
        (f"-c{GROUP}{{optfile}}", []),
        ("", [""]),
    ],
)
def test_a_template_is_replaced_or_left_out_as_a_whole(template, arguments):
    assert expand([template], VALUES) == tuple(arguments)


@pytest.mark.parametrize("template", ["{dash}", "{dash}x", f"-a{GROUP}{{dash}}"])
def test_a_value_never_becomes_an_option(template):
    with pytest.raises(ExpansionError, match="begins with -"):
        expand([template], VALUES)


def test_a_nul_is_refused():
    with pytest.raises(ExpansionError, match="NUL"):
        expand(["{a}"], {"a": "x\0y"})


def test_names_of_the_run_stay_when_they_are_not_known():
    assert fill("{handle}:{path}", VALUES, keep={"handle"}) == "{handle}:/VAULT01/PAY/A1"


def test_a_variable_that_names_an_absent_value_is_left_out():
    env = {"A": "{path}", "B": "{optfile}", "C": "-x"}
    assert expand_environment(env, VALUES) == {"A": "/VAULT01/PAY/A1", "C": "-x"}


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([], None),
        (["run {class}", "quit"], "run KEEP\nquit\n"),
        (["run {optfile}", "quit"], "quit\n"),
        ([f"run{GROUP}job={{optfile}}{GROUP}c={{class}}"], "run c=KEEP\n"),
    ],
)
def test_lines_for_an_input_lose_what_names_an_absent_value(lines, text):
    assert expand_input(lines, VALUES) == text


@pytest.mark.parametrize("value", ["a\nb", 'a"b', "a\rb", "a\0b"])
def test_a_value_never_ends_its_line_or_its_quotes(value):
    with pytest.raises(ExpansionError):
        expand_input(['run "{a}"'], {"a": value})


@pytest.mark.parametrize("text", ["{", "}", "{a", "a}", "{}", "{a b}", "{{{", "{1}", "{a.b.c}"])
def test_what_is_no_template_is_refused(text):
    with pytest.raises(TemplateError):
        parts_of(text)


def test_names_are_found_in_their_order():
    assert names_in("{b}-{{c}}-{keyword.a}") == ("b", "keyword.a")


@given(st.text("ab{}-$`;\n\"' "))
def test_an_escaped_text_is_itself_again(text):
    assert fill(text.replace("{", "{{").replace("}", "}}"), {"a": "no", "b": "no"}) == text


@given(st.lists(st.text("ab{}-=/\x1f ", max_size=12)), st.text("ab{}-", max_size=5))
def test_values_are_never_read_again_and_never_become_options(templates, value):
    try:
        arguments = expand(templates, {"a": value})
    except (TemplateError, ExpansionError):
        return
    written = [member for template in templates for member in template.split(GROUP)]
    assert len(arguments) <= len(written)
    assert sum(each.startswith("-") for each in arguments) <= sum(
        each.startswith("-") for each in written
    )
