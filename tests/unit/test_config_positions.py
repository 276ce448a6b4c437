"""YAML with places: what is read, what is refused, and where."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.mistakes import mistakes
from vtspolicy.config import positions
from vtspolicy.config.positions import (
    DEPTH_LIMIT,
    LONGEST,
    NODE_LIMIT,
    PROBLEM_LIMIT,
    SIZE_LIMIT,
    TAG_LIMIT,
    Items,
    Scalar,
    Table,
    read_file,
    read_text,
)
from vtspolicy.config.syntax import EXPLAINED, FAST, LOOK_AHEAD, SLOW


def problems_of(text):
    return [str(problem) for problem in read_text(text, file="f")[1]]


def plain(node):
    if isinstance(node, Table):
        return {name: plain(entry.value) for name, entry in node.entries.items()}
    if isinstance(node, Items):
        return [plain(item) for item in node.items]
    return node.value


def test_every_value_knows_its_line_and_column():
    node, problems = read_text("ä: 1\nüb:\n  - [x, 'y']\n", file="f")
    assert problems == []
    inner = node.entries["üb"].value.items[0].items[1]
    assert (inner.place.line, inner.place.column) == (3, 9)
    assert (node.entries["üb"].key.place.line, node.entries["üb"].key.place.column) == (2, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-12", -12),
        ("1.5", 1.5),
        ("true", True),
        ("False", False),
        ("~", None),
        ("'010'", "010"),
        ('"yes"', "yes"),
        ("!!str 1", "1"),
        ("2026-12-25", "2026-12-25"),
        ("20:00-06:00", "20:00-06:00"),
        ("12h", "12h"),
        ("1e3", "1e3"),
        ("9" * 40, "9" * 40),
        ("10:99", "10:99"),
    ],
)
def test_a_plain_value_means_what_it_looks_like(text, value):
    node, problems = read_text(f"a: {text}", file="f")
    assert problems == []
    assert plain(node) == {"a": value}
    assert type(node.entries["a"].value.value) is type(value)


@pytest.mark.parametrize("word", ["yes", "Off", "010", "20:00", "1_000"])
def test_a_trap_of_yaml_is_none_in_quotes(word):
    assert len(problems_of(f"[ {word} ]")) == 1
    assert problems_of(f"[ '{word}' ]") == []


def test_keys_are_words_whatever_they_look_like():
    node, problems = read_text("on: 1\n0: 2\nno: 3\n", file="f")
    assert problems == []
    assert plain(node) == {"on": 1, "0": 2, "no": 3}


def test_anchors_aliases_and_merges_work():
    node, problems = read_text(
        "base: &b {x: 1, y: 2}\nmore: &m {z: 9, x: 8}\n"
        "one: {<<: *b, y: 3}\nmany: {<<: [*b, *m]}\nlist: [&s s, *s]\n",
        file="f",
    )
    assert problems == []
    found = plain(node)
    assert found["one"] == {"y": 3, "x": 1}
    assert found["many"] == {"x": 1, "y": 2, "z": 9}
    assert found["list"] == ["s", "s"]


def test_an_alias_keeps_the_place_of_its_anchor():
    node, _ = read_text("a: &x 1\nb: *x\n", file="f")
    assert node.entries["b"].value.place.line == 1


@pytest.mark.parametrize(("text", "problem"), mistakes("yaml"))
def test_what_is_wrong_in_form_has_its_place_and_its_remedy(text, problem):
    assert problems_of(text) == [f"f:{problem}"]


def test_a_character_that_yaml_does_not_allow_has_its_place():
    assert problems_of("a: \0") == ["f:1:4: the character U+0000 is not allowed in YAML"]


def test_a_tab_is_named_and_so_is_the_remedy():
    [problem] = problems_of("a:\n\t- b")
    assert problem.startswith("f:2:1: this is not YAML")
    assert "indent with blanks" in problem


def test_an_unclosed_quote_names_the_line_in_which_it_began():
    [problem] = problems_of("a: 'x\nb: c\n")
    assert "begun in line 1" in problem
    assert "the closing quote is missing" in problem


def test_aliases_cannot_make_a_small_file_large():
    bomb = "a0: &a0 [1]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
    )
    [problem] = problems_of(bomb)
    assert "more than 100000 values, aliases counted in full" in problem


def test_the_depth_is_bounded():
    assert problems_of("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT) == []
    [problem] = problems_of("[" * 5000)
    assert problem == f"f:1:{DEPTH_LIMIT + 2}: more than {DEPTH_LIMIT} levels within one another"


TOO_DEEP = f"more than {DEPTH_LIMIT} levels within one another"


class RefusingEarly(FAST):
    """A parser that looks far ahead for too many levels, as that of PyYAML 6.0.4 does."""

    def __init__(self, stream):
        super().__init__(stream)
        at = stream.find("[" * 1000)
        if at >= 0:
            mark = yaml.Mark("f", at + 1000, 0, 0, None, None)
            raise yaml.scanner.ScannerError(None, None, "too many levels", mark)


@pytest.mark.parametrize("parser", [FAST, SLOW, RefusingEarly])
@pytest.mark.parametrize(
    "before", ["", "no: 1\n", "# a comment\n" * 20_000, "#" + "-" * EXPLAINED + "\n"]
)
def test_what_is_too_deep_is_reported_alike_by_every_parser(monkeypatch, parser, before):
    monkeypatch.setattr(positions, "FAST", parser)
    line = before.count("\n") + 1
    problems = problems_of(before + "a: " + "[" * 5000)
    assert problems == [f"f:{line}:{DEPTH_LIMIT + 4}: {TOO_DEEP}"]


@pytest.mark.parametrize(
    "unit", ["[", "{", "[ ", "[\n", "- ", "? ", "{a: [", "&a [", "!!seq [", "- - "]
)
def test_of_a_file_that_is_too_deep_little_is_read(monkeypatch, unit):
    read = []

    class Counting(FAST):
        def get_event(self):
            read.append(super().get_event())
            return read[-1]

    monkeypatch.setattr(positions, "FAST", Counting)
    [*_, problem] = problems_of(unit * (SIZE_LIMIT // len(unit)))
    assert problem.endswith(TOO_DEEP)
    assert len(read) < 10 * DEPTH_LIMIT


class Recording(SLOW):
    """The slow parser, which notes how long the texts are that it is given."""

    lengths = ()

    def __init__(self, stream):
        Recording.lengths += (len(stream),)
        super().__init__(stream)


@pytest.mark.parametrize(
    ("text", "message", "length"),
    [
        ("a: b: c\n" + "# x\n" * (SIZE_LIMIT // 4 - 2), "mapping values are", 4 + LOOK_AHEAD),
        ("# x\n" * (SIZE_LIMIT // 4 - 2) + "a: b: c", "mapping values are", 0),
        ("a: '" + "x\n" * (SIZE_LIMIT // 2 - 2), "the closing quote is missing", 0),
    ],
)
def test_the_slow_parser_reads_only_what_is_before_an_early_error(
    monkeypatch, text, message, length
):
    monkeypatch.setattr(Recording, "lengths", ())
    monkeypatch.setattr(positions, "SLOW", Recording)
    [problem] = problems_of(text)
    assert message in problem
    assert sum(Recording.lengths) == length


def test_the_number_of_values_is_bounded():
    [problem] = problems_of("- a\n" * (SIZE_LIMIT // 4))
    assert problem == f"f:{NODE_LIMIT}:3: more than {NODE_LIMIT} values, aliases counted in full"


@pytest.mark.parametrize("before", ["", "a: 1\n...\n"])
def test_too_many_tag_directives_are_refused_before_a_parser_compares_them(monkeypatch, before):
    monkeypatch.setattr(positions, "FAST", None)
    text = before + "".join(f"%TAG !{n}! x\n" for n in range(200_000)) + "---\na: 1\n"
    [problem] = problems_of(text)
    line = before.count("\n") + TAG_LIMIT + 1
    assert problem.startswith(f"f:{line}:1: more than {TAG_LIMIT} %TAG directives")


def test_the_number_of_problems_is_bounded():
    problems = problems_of("- no\n" * 1000)
    assert len(problems) == PROBLEM_LIMIT + 1
    assert problems[-1] == (
        f"f:{PROBLEM_LIMIT + 1}:3: more than {PROBLEM_LIMIT} problems; correct these first"
    )


@pytest.mark.parametrize(
    "text",
    ["- 0{}", "- 1_{}", "- *a{}", "- !a{} x", "? k{0}\n: 1\n? k{0}\n: 1\n", "<<: a{}"],
)
def test_a_long_word_is_shortened_in_the_message(text):
    [problem] = problems_of(text.format("1" * 60_000))
    assert len(problem) < 300


@pytest.mark.parametrize("text", ["- {}", "- '{}'", "- |\n  {}", "? {}\n: 1"])
def test_the_length_of_a_value_is_bounded(text):
    assert problems_of(text.format("x" * LONGEST)) == []
    [problem] = problems_of(text.format("x" * (LONGEST + 1)))
    assert problem == f"f:1:3: a value of more than {LONGEST} characters; shorten it"


def test_a_file_that_is_not_there_is_a_problem_of_the_file(tmp_path):
    node, [problem] = read_file(tmp_path / "none.yaml", name="none.yaml")
    assert node is None
    assert str(problem) == "none.yaml:1:1: the file cannot be read: No such file or directory"


def test_bytes_that_are_not_utf_8_have_their_place(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_bytes("a: ü\nb: ".encode() + b"\xff")
    _, [problem] = read_file(file, name="f")
    assert str(problem) == "f:2:4: this is not UTF-8; save the file in UTF-8"


def test_a_byte_order_mark_is_passed_over(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1")
    node, problems = read_file(file)
    assert (plain(node), problems) == ({"a": 1}, [])


def test_an_empty_file_is_nothing(tmp_path):
    file = tmp_path / "f.yaml"
    file.write_text("# only a comment\n")
    assert read_file(file) == (None, [])


@given(st.text(max_size=200) | st.text("ab:{}[],&*<-?|>'\"!#%@ \n\t0", max_size=60))
def test_any_text_gives_a_tree_or_a_problem_inside_it(text):
    node, problems = read_text(text, file="f")
    lines = text.splitlines() or [""]
    for problem in problems:
        assert 1 <= problem.line <= len(lines) + 2
        assert problem.column >= 1
    assert node is None or isinstance(node, Scalar | Items | Table)
