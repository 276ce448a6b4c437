"""The table of the log's actions is what the program logs: nothing is missing, nothing is left."""

import ast
import re
from pathlib import Path

from vtspolicy.log_actions import ACTIONS, MORE

PROGRAM = Path(__file__).parents[2] / "vtspolicy"
LEVELS = {"info", "warn", "error", "critical", "failure", "emit", "debug"}
OTHERS = {"warnings.warn"}


def calls():
    """Every call in the program, with its file."""
    for path in PROGRAM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node


def action_of(node):
    given = {each.arg: each.value for each in node.keywords}
    return given["action"].value if isinstance(given.get("action"), ast.Constant) else None


def name_of(node):
    return ast.unparse(node.func)


def logged():
    """Every action in the source: its key, and the method or class that takes it."""
    return [(action_of(node), name_of(node)) for _, node in calls() if action_of(node) is not None]


def test_every_action_in_the_source_is_in_the_table_and_no_other():
    assert {action for action, _ in logged()} == ACTIONS.keys()


def test_actions_have_one_spelling():
    assert [each for each in ACTIONS if not re.fullmatch("[a-z]+(_[a-z]+)*", each)] == []


def test_every_line_that_the_program_logs_has_an_action():
    without = [
        f"{path.name}:{node.lineno}"
        for path, node in calls()
        if isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and re.search(r"log(\(\"[a-z.]+\"\))?\.[a-z]+$", name_of(node).replace("Logger", "log"))
        and not any(each.arg in {"action", None} for each in node.keywords)
    ]
    assert without == []


def test_the_levels_of_the_table_are_those_of_the_source():
    for action, method in logged():
        name = method.rpartition(".")[2]
        level = {"failure": "critical"}.get(name, name)
        if level in LEVELS - {"emit"}:
            assert level in ACTIONS[action].level.split(", "), action


def test_what_is_limited_is_limited_in_the_source_and_nothing_else():
    limited = {action for action, name in logged() if name == "Line"}
    assert limited == {action for action, each in ACTIONS.items() if each.limited}
    assert not any(action.endswith(MORE) for action in ACTIONS)
