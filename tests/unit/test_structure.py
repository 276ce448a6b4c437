"""The shape of the house: floors, what the model may not touch, rooms of a size, the top level."""

import ast
import configparser
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "vtspolicy"

FLOORS = (
    # 1 model: pure
    (
        "catalogue changes clock_trust config events grammar jobs links log_actions notices records"
        " readable requests rights rules sessions suggest tapes visible"
    ),
    # 2 adapters: all I/O
    "clocks hosts ledger log_limit metrics private queue runner status systemd threads vaults",
    # 3 engine, and what may be asked of it
    "control engine",
    # 4 doors
    "__main__ cli client exit_codes service starting web",
)
"""The modules of each floor, from the ground up. Imports go down, or stay on their floor."""

FOR_TESTS = "testing"
"""Beside the house: it may import everything below the doors, and only SHOW_FAKES import it."""

SHOW_FAKES = {
    "cli.host_simulator": "the simulated host for people who want to see a link work",
}
"""Doors that show what is for tests, with their reasons."""

FLOOR = {name: number for number, names in enumerate(FLOORS, 1) for name in names.split()}

WORLD = {
    *("OpenSSL", "asyncio", "fcntl", "http", "multiprocessing", "os", "prometheus_client"),
    *("random", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl"),
    *("subprocess", "tempfile", "threading", "time", "twisted", "zope"),
}
"""What the model may not import: network, processes, clock, chance."""

ALLOWED = {
    ("config.load", "socket"): "gethostname, once: what `node` is without a configuration",
    ("rules.time_limit", "signal"): "nothing else interrupts a regular expression",
}
"""Imports of WORLD in the model, with their reasons."""

CLOCKS = ("datetime.now", "datetime.today", "datetime.utcnow", "date.today", "time.time")

LONGEST = 500
LONG_ONES = {
    "runner/keeper.py": "one program in one file: it imports nothing of ours, to outlive upgrades",
    "testing/queue_suite.py": "one suite, which every queue must pass as a whole",
}
"""Modules of more than LONGEST lines, with their reasons."""

NOT_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc)($|_)")

TOP_LEVEL = {
    *("CHANGELOG.md", "LICENSE", "Makefile", "README.md"),
    *("constraints.txt", "pyproject.toml", "setup.cfg"),
    *("deploy", "docs", "fixtures", "grammar", "tests", "vtspolicy"),
}
MADE_BY_TOOLS = ("build", "dist", "*.egg-info", "__pycache__", "junit*.xml")


def modules():
    """Every module of the program: its dotted name below vtspolicy, and its file."""
    found = {}
    for folder in (PROGRAM, PROGRAM / "grammar"):  # rglob does not follow the link
        for path in folder.rglob("*.py"):
            parts = path.relative_to(PROGRAM).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    del found["__init__"]  # the version, and nothing else
    return found


MODULES = modules()


def imported(path):
    """Every dotted name that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports name what they import in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(path):
    """The rooms of the program that a file imports."""
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "vtspolicy" and rest != "__version__":
            yield rest.split(".")[0]


def test_every_module_stands_on_a_floor():
    rooms = {name.split(".")[0] for name in MODULES}
    assert rooms - {FOR_TESTS} == FLOOR.keys()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_only_go_down(name):
    room = name.split(".")[0]
    limit = 3 if room == FOR_TESTS else FLOOR[room]
    for wanted in ours(MODULES[name]):
        if wanted == FOR_TESTS and (room == FOR_TESTS or name in SHOW_FAKES):
            continue
        assert wanted in FLOOR, f"{name} imports {wanted}"
        assert FLOOR[wanted] <= limit, f"{name}, floor {limit}, imports {wanted}"


def model():
    return sorted(name for name in MODULES if FLOOR.get(name.split(".")[0]) == 1)


@pytest.mark.parametrize("name", model())
def test_the_model_does_not_touch_the_world(name):
    touched = {wanted.split(".")[0] for wanted in imported(MODULES[name])} & WORLD
    assert touched <= {wanted for module, wanted in ALLOWED if module == name}


@pytest.mark.parametrize("name", model())
def test_the_model_looks_at_no_clock(name):
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert not called.endswith(CLOCKS), f"{name}:{node.lineno}: {called}"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_its_own_package_knows_sqlite(name):
    if not name.startswith("ledger.sqlite"):
        assert "sqlite3" not in {wanted.split(".")[0] for wanted in imported(MODULES[name])}


def test_what_is_allowed_to_the_model_is_used():
    for module, wanted in ALLOWED:
        assert wanted in {name.split(".")[0] for name in imported(MODULES[module])}


def test_modules_have_the_size_of_a_room():
    long_ones = {
        str(path.relative_to(PROGRAM))
        for path in MODULES.values()
        if len(path.read_text("utf-8").splitlines()) > LONGEST
    }
    assert long_ones == LONG_ONES.keys()


def test_modules_say_first_what_they_are_for():
    for name, path in MODULES.items():
        said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        first = said.split("\n\n")[0].strip()
        assert first.endswith((".", ":")), f"{name}: {first}"


EFFECTS = "engine.effects"
"""The one module that does what follows from a change of the ledger."""

ITS_OWN = {
    ("outbox", "push"): {EFFECTS},
    ("queue", "put"): {EFFECTS},
    ("queue", "withdraw"): {EFFECTS},
    ("queue", "give_back"): {"engine.jobs.job_runner"},  # a seat and a lock, in the end
    ("queue", "again"): {"engine.jobs.job_runner"},
    ("queue", "adopt"): {"engine.recovery"},  # what an earlier server left
    ("runs", "stop"): {EFFECTS},
    ("programs", "stop"): {"engine.jobs.job_runner"},
    ("job_runner", "stop"): set(),
    ("_ledger", "write"): {EFFECTS},
}
"""What is called of which part, and by whom alone."""


def methods(path):
    """Every method that a file calls or hands over, behind the part as its field is named."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute):
            part = node.value
            yield part.attr if isinstance(part, ast.Attribute) else ast.unparse(part), node.attr


def test_what_follows_from_a_change_is_done_in_one_module():
    found = {each: set() for each in ITS_OWN}
    for name, path in MODULES.items():
        if FLOOR.get(name.split(".")[0], 0) >= FLOOR["engine"]:
            for method in methods(path):
                if method in found:
                    found[method].add(name)
    assert found == ITS_OWN


def test_the_engine_writes_the_ledger_in_one_way():
    """What has the ledger itself could write, and forget what follows."""
    for name, path in MODULES.items():
        if name.split(".")[0] == "engine" and name not in {EFFECTS, "engine.assembly"}:
            assert "vtspolicy.ledger.Ledger" not in set(imported(path)), name
    assert "self.ledger.write" not in MODULES["service"].read_text("utf-8")


def test_no_part_of_the_engine_knows_another_only_for_its_type():
    """What is imported for types alone is a circle: the part reaches back to what has made it."""
    for name, path in MODULES.items():
        if name.split(".")[0] == "engine":
            assert "typing.TYPE_CHECKING" not in set(imported(path)), name


def test_only_who_starts_the_server_knows_all_parts_of_its_engine():
    found = {
        name
        for name, path in MODULES.items()
        if "vtspolicy.engine.assembly" in str([*imported(path)])
    }
    assert found == {"service"}


POSSESSIVE_GROUP = re.compile(r"\)(?:[*+?]|\{[0-9,]+\})\+")


def test_no_group_has_a_possessive_repeat():
    """Before 3.11.5 `re` matches wrongly with one; an atomic group says the same."""
    for name, path in MODULES.items():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            assert not POSSESSIVE_GROUP.search(line), f"{name}:{number}"


def test_no_room_is_named_after_nothing():
    for path in (*MODULES.values(), *(ROOT / "tests").rglob("*.py")):
        for part in path.relative_to(ROOT).with_suffix("").parts:
            assert not NOT_NAMES.search(part), path


def test_no_class_is_named_after_nothing():
    for name, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower()
                assert not NOT_NAMES.search(words), f"{name}.{node.name}"


def test_the_top_level_holds_what_the_design_says():
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    made = {name for name in found if any(fnmatch(name, each) for each in MADE_BY_TOOLS)}
    assert found - made <= TOP_LEVEL


def test_the_grammar_is_one_folder_with_two_names():
    assert (PROGRAM / "grammar").is_symlink()
    assert (PROGRAM / "grammar").resolve() == ROOT / "grammar"


def test_every_data_file_of_the_program_is_packed():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = (line.strip() for line in setup["options.package_data"]["*"].splitlines())
    packed = {line.removeprefix("**/*") for line in lines if line.startswith("**/*.")}
    for folder in (PROGRAM, ROOT / "grammar"):
        for path in folder.rglob("*"):
            ours = path.is_file() and "__pycache__" not in path.parts and path.suffix != ".py"
            assert not ours or path.suffix in packed or path.name == "py.typed", path


def test_no_test_imports_another():
    """What tests share is in the harness."""
    folder = ROOT / "tests"
    shared = [*folder.rglob("conftest.py"), *(folder / "harness").rglob("*.py")]
    for path in [*folder.rglob("test_*.py"), *shared]:
        for name in imported(path):
            last = name.split(".")
            assert not any(each.startswith("test_") for each in last[:-1]), f"{path}: {name}"
            assert not name.startswith(("conftest", "tests.conftest")), f"{path}: {name}"
