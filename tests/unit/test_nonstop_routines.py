"""TACL programs on the simulated host: routines, choices, loops, texts, and what is unknown."""

import pytest

from tests.harness.simulated_terminals import Typist, logged_on, system
from vtspolicy.testing.nonstop.tacl import STATEMENTS

LIBRARY = "$SYSTEM.MINE.LIB"


def output(typist, *lines):
    return typist.type(*lines).rpartition("\n")[0].split("\n")


def with_library(*lines, **more):
    """A terminal at which a library is loaded."""
    typist = logged_on(system(files={LIBRARY: "\n".join(lines)}, **more))
    assert typist.type(f"LOAD /KEEP 1/ {LIBRARY}") == "2> "
    return typist


def routine(*lines, **more):
    """A terminal at which the routine TRY is loaded."""
    return with_library("?SECTION TRY ROUTINE", *lines, **more)


# Routines


def test_a_routine_runs_its_lines_and_gives_its_result():
    typist = routine("#OUTPUT one", "", "== nothing", "#RESULT two", "#OUTPUT three &", "four")
    assert output(typist, "#OUTPUT <[TRY]>") == ["one", "three four", "<two>"]
    assert output(typist, "TRY") == ["one", "three four", "TRY expanded to:", "two"]


def test_a_result_that_nothing_uses_is_an_error_in_a_routine():
    typist = routine("#CHARCOUNT x")
    assert output(typist, "#PUSH x", "TRY")[-1] == "*ERROR* Nothing uses the result 0"
    assert output(routine("SINK [#MYPID]", "#OUTPUT done"), "TRY") == ["done"]


def test_return_leaves_the_routine_and_not_its_caller():
    typist = with_library(
        "?SECTION INNER ROUTINE",
        "[#LOOP |DO| [#IF 1 |THEN| #RETURN] |UNTIL| 0]",
        "#OUTPUT never",
        "?SECTION OUTER ROUTINE",
        "INNER",
        "#OUTPUT after",
    )
    assert output(typist, "OUTER") == ["after"]
    assert output(typist, "#RETURN") == ["*ERROR* This function is only for routines"]


def test_a_frame_pops_what_was_pushed_in_it_also_after_return_and_after_an_error():
    typist = routine(
        "#FRAME", "#PUSH x #INFORMAT", "#SET #INFORMAT PLAIN", "#SET x 2", "#RETURN", "#UNFRAME"
    )
    typist.type("#PUSH x", "#SET x 1", "TRY")
    assert output(typist, "#OUTPUT [x] [#INFORMAT]") == ["1 TACL"]
    typist = routine("#FRAME", "#PUSH x", "NONSENSE")
    assert output(typist, "TRY")[0].startswith("*ERROR*")
    assert output(typist, "#OUTPUT [x]") == ["*ERROR* There is no command, variable or program x"]
    assert output(typist, "#UNFRAME") == ["*ERROR* There is no #FRAME"]


@pytest.mark.parametrize(
    ("alternatives", "typed", "shows"),
    [
        ("NUMBER", "17 rest", "1 17 rest"),
        ("NUMBER", "(nothing", "*ERROR* Expecting NUMBER, and not (nothing"),
        ("NUMBER /MINIMUM 1, MAXIMUM 9/", "9", "1 9"),
        ("NUMBER /MINIMUM 1, MAXIMUM 9/", "10", "*ERROR* Expecting NUMBER, and not 10"),
        ("NUMBER", "n", "1 5"),  # a variable that holds a number
        ("KEYWORD /WORDLIST req ref/", "REF x", "1 REF x"),
        ("KEYWORD /WORDLIST req ref/ WORD", "other x", "2 other x"),
        ("WORD", "a/b", "1 a /b"),
        ("TEXT", "'a b' [n]", "1 'a b' 5"),
        ("COMMA WORD", ", x", "1 , x"),
        ("END", "", "1"),
        ("END", "x", "*ERROR* Expecting END, and not x"),
        ("NUMBER OTHERWISE", "x y", "2  x y"),
        ("SUBVOL", "x", "*ERROR* The alternative SUBVOL is not simulated"),
    ],
)
def test_arguments_are_taken_one_after_the_other(alternatives, typed, shows):
    typist = routine(
        "#FRAME", "#PUSH v", f"#RESULT [#ARGUMENT /VALUE v/ {alternatives}] [v] [#REST]", "#UNFRAME"
    )
    typist.type("#PUSH n", "#SET n 5")
    assert output(typist, f"#OUTPUT [TRY {typed}]") == [shows]


def test_more_says_whether_arguments_are_left():
    typist = routine("#OUTPUT [#MORE]", "SINK [#ARGUMENT WORD]", "#OUTPUT [#MORE]")
    assert output(typist, "TRY x") == ["-1", "0"]


# Choices and loops


def test_only_what_is_chosen_is_expanded():
    typist = routine(
        "[#IF [#COMPUTE 1 + 1] = 2 |THEN| #OUTPUT [#OUTPUT yes] |ELSE| #OUTPUT [#OUTPUT no]]",
        "[#IF NOT 1 |THEN| #OUTPUT no]",
        "#OUTPUT [#CASE b |a| [#OUTPUT no] 1 |b c| 2 |OTHERWISE| 3]",
        "#OUTPUT [#CASE x |a| 1 |OTHERWISE| 3]",
        "#OUTPUT <[#IF 0 |THEN| x]>",
    )
    assert output(typist, "TRY") == ["yes", "", "2", "3", "<>"]


def test_lines_that_are_chosen_are_run_one_after_the_other():
    typist = routine(
        "#FRAME",
        "#PUSH n",
        "#SET n 1",
        "[#IF 1 |THEN|",
        "  #SET n [#COMPUTE n + 1]",
        "  #OUTPUT [n]",
        "  [#IF n = 2 |THEN|",
        "    #OUTPUT two",
        "  ]",
        "]",
        "#UNFRAME",
    )
    assert output(typist, "TRY") == ["2", "two"]


def test_a_loop_ends_by_its_condition():
    counted = ("#FRAME", "#PUSH n", "#SET n 0")
    body = "|DO| #SET n [#COMPUTE n + 1]"
    typist = routine(*counted, f"[#LOOP |WHILE| n < 3 {body}]", "#OUTPUT [n]", "#UNFRAME")
    assert output(typist, "TRY") == ["3"]
    typist = routine(*counted, f"[#LOOP {body} |UNTIL| n >= 3]", "#OUTPUT [n]", "#UNFRAME")
    assert output(typist, "TRY") == ["3"]


def test_a_loop_without_an_end_is_stopped_and_the_terminal_goes_on():
    typist = routine("[#LOOP |DO| |UNTIL| [#COMPUTE 0]]")
    assert output(typist, "TRY") == [f"*ERROR* {STATEMENTS} statements were run without a wait"]
    assert output(typist, "#OUTPUT x") == ["x"]


def test_a_routine_that_calls_itself_for_ever_is_stopped():
    assert output(routine("TRY"), "TRY") == ["*ERROR* The stack is full"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[#IF 1]", "#IF needs |THEN|"),
        ("[#IF 1 |DO| x]", "|DO| is not one of THEN, ELSE"),
        ("[#LOOP |DO| #OUTPUT x]", "#LOOP needs |DO|, and |WHILE| or |UNTIL|"),
        ("[#CASE x |a| 1]", "No label of #CASE fits X"),
        ("[#OUTPUT |a| x]", "A label stands outside of a function that takes one"),
        ("[#DEF v ALIAS |BODY| x]", "The type ALIAS is not simulated"),
        ("[#DEF v]", "#DEF needs a name and a type"),
        ("[#DEF v STRUCT BEGIN REAL x; END;]", "REAL x is not simulated in a STRUCT"),
        ("#STOP", "#STOP is simulated for [#MYPID] alone"),
        ("#SETMANY a b, c", "There is no command, variable or program #SETMANY"),
        ("#ARGUMENT NUMBER", "This function is only for routines"),
        ("#LOAD $SYSTEM.NO.SUCH", "File $SYSTEM.NO.SUCH does not exist"),
    ],
)
def test_what_is_wrong_or_not_known_is_an_error(line, message):
    assert output(logged_on(), line) == [f"*ERROR* {message}"]


# Expressions and texts


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * -3", "-9"),
        ("-7 / 2", "-3"),
        ("2 < 3 AND NOT 3 < 2", "-1"),
        ("0 OR 2 >= 3", "0"),
        ("n + 1", "6"),
        ("nothing", "0"),  # an empty variable
        ('"done" \'=\' "DONE" OR n = 4', "-1"),
        ("n '<>' \"5\"", "0"),
        ("211568816270273146 - 211568816270273140", "6"),
        ("1 / 0", "*ERROR* Division by zero"),
        ("1 +", "*ERROR* Operand needed"),
        ("(1", "*ERROR* A parenthesis is not closed"),
        ("1 2", "*ERROR* 2 is not expected in an expression"),
        ("1 & 2", "*ERROR* & 2 is not expected in an expression"),
        ("9223372036854775807 + 1", "*ERROR* Arithmetic overflow"),
        ("-" * 99 + "1", "*ERROR* The expression is too deep"),
        ('"x" + 1', "*ERROR* x is not a number"),
    ],
)
def test_expressions(expression, value):
    typist = logged_on()
    typist.type("#PUSH n nothing", "#SET n 5")
    assert output(typist, f"#OUTPUT [#COMPUTE {expression}]") == [value]


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("#CHARCOUNT t", "9"),
        ("#CHARFIND t 1 policy", "4"),
        ("#CHARFIND /EXACT/ t 1 policy", "0"),
        ("#CHARFIND t 5 policy", "0"),
        ('#CHARFINDV /EXACT/ t 1 "Policy"', "4"),
        ('#CHARFINDV t 1 " "', "0"),
        ("#CHARGET t 1 FOR 3", "VTS"),
        ("#CHARGET t 9", "y"),
        ("#CHARGET t 8 FOR 99", "cy"),
        ("#CHARGET t 1 FOR 0", ""),
        ("#CHARGET t 1 TO 3", "*ERROR* TO is not simulated; use FOR"),
        ("#CHARGET t 0", "*ERROR* A character address is at least 1"),
        ('#COMPAREV t "VTSPolicy"', "-1"),
        ('#COMPAREV t "vtspolicy"', "0"),
        ("#EMPTY  ", "-1"),
        ("#EMPTY x", "0"),
        ("#EMPTYV /BLANK/ blank", "-1"),
        ("#EMPTYV t", "*ERROR* #EMPTYV without /BLANK/ is not simulated"),
        ("#EMPTYV /NONE/ t", "*ERROR* The option NONE is not simulated"),
    ],
)
def test_functions_of_texts(call, value):
    typist = logged_on()
    typist.type("#PUSH t blank", "#SET t VTSPolicy", '#SETV blank "  "')
    assert output(typist, f"#OUTPUT [{call}]") == [value]


def test_texts_are_copied_from_variable_to_variable():
    typist = logged_on()
    typist.type("#PUSH a b", '#SETV a " x=1 "', "#CHARGETV a b 2 FOR 3")
    assert output(typist, "#OUTPUT <[a]><[b]>") == ["< x=1 ><x=1>"]


# Time, processes, the end


def test_a_delay_waits_and_break_ends_it():
    typist = routine("#DELAY 250", "#OUTPUT over")
    assert typist.type("TRY") == ""
    typist.clock.advance(2.4)
    assert "over" not in typist.text()
    typist.clock.advance(0.2)
    assert typist.text().endswith("over\n3> ")
    typist.type("TRY")
    typist.session.press_break()
    assert output(typist, "#OUTPUT x") == ["x"]


def test_a_loop_that_waits_may_run_for_ever():
    typist = routine("[#LOOP |DO| #DELAY 1 |UNTIL| 0]")
    typist.type("TRY")
    typist.clock.pump([0.01] * STATEMENTS)
    assert not typist.session.is_over
    assert "*ERROR*" not in typist.text()


def test_a_timestamp_counts_microseconds():
    typist = routine("#RESULT [#COMPUTE 0 - [#JULIANTIMESTAMP] + [#JULIANTIMESTAMP]]")
    assert output(typist, "#OUTPUT [TRY]") == ["1000000"]  # the clock of the tests goes on so


def test_stop_ends_the_session_with_its_completion_code():
    typist = routine("SINK [#STOP /COMPLETIONCODE 2/ [#MYPID]]", "#OUTPUT never")
    typist.type("TRY")
    assert typist.session.is_over
    assert typist.session.completion_code == 2
    assert typist.ends == [False]
    assert "never" not in typist.text()


def test_a_command_over_ssh_can_end_with_a_completion_code():
    typist = Typist(command="#STOP /COMPLETIONCODE 1/ [#MYPID]")
    assert typist.session.completion_code == 1
    assert typist.ends == [True]


# Libraries


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["?SECTION A MACRO", "x"], "The type MACRO is not simulated"),
        (["?SECTION A"], "?SECTION A is not simulated"),
        (["?FORMAT PLAIN"], "?FORMAT PLAIN is not simulated"),
        (["x"], "x stands before the first ?SECTION"),
        (["?SECTION A ROUTINE", "[#IF 1"], "A ends within a bracket, comment or line"),
        (["?SECTION A TEXT", "x" * 240], "A line is longer than 239 bytes: " + "x" * 40),
    ],
)
def test_a_library_with_anything_unknown_is_refused_as_a_whole(lines, message):
    typist = logged_on(system(files={LIBRARY: "\n".join(["?SECTION B TEXT", *lines])}))
    if lines == ["x"]:
        typist = logged_on(system(files={LIBRARY: "x"}))
    assert output(typist, f"LOAD {LIBRARY}") == [f"*ERROR* {message}"]
    assert output(typist, "#OUTPUT [B]")[0].startswith("*ERROR* There is no command")


def test_load_pushes_and_keep_removes_older_levels():
    at = system(files={LIBRARY: "?SECTION B TEXT\nnew"})
    typist = logged_on(at)
    typist.type("#PUSH b", "#SET b old", f"LOAD {LIBRARY}")
    assert output(typist, "#OUTPUT [B]") == ["new"]
    typist.type("#POP b")
    assert output(typist, "#OUTPUT [B]") == ["old"]
    typist.type(f"LOAD /KEEP 1/ {LIBRARY}", "#POP b")
    assert output(typist, "#OUTPUT [B]")[0].startswith("*ERROR* There is no command")
    assert output(typist, f"#OUTPUT [#LOAD {LIBRARY}]") == ["B"]
