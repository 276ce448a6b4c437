"""The documents say what the program does: their tables, commands, keys and links are true."""

import ast
import configparser
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from vtspolicy import __version__, notices
from vtspolicy.cli import COMMANDS, cli
from vtspolicy.config.keys import SECTIONS, option_table
from vtspolicy.rules import keys

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

_spec = importlib.util.spec_from_file_location("docs_make", DOCS / "make.py")
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


def each_page(test):
    return pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)(test)


def fences(text, *languages):
    """The contents of the fenced blocks of these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [body for language, body in found if language in languages]


def prose(text):
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


# Pages made from tables


@pytest.mark.parametrize("name", make.MADE_PAGES)
def test_a_made_page_is_what_its_table_says(name):
    written = (DOCS / name).read_text("utf-8")
    assert written == make.MADE_PAGES[name](), "stale: run make docs"


def test_every_notice_and_every_key_of_one_is_explained():
    assert set(notices.WHEN) == set(notices.Word)
    assert set(notices.KEY_HELP) == set(notices.NODE_KEYS)


def test_no_command_has_exit_codes_of_its_own():
    """The keeper's own are its server's business; a shell adds 128 to the number of a signal."""
    number = re.compile(r"(?:SystemExit|sys\.exit)\(\d")
    known = {"host_simulator.py": "those of the simulated login, which is no command's end"}
    for path in (ROOT / "vtspolicy" / "cli").glob("*.py"):
        found = number.findall(path.read_text("utf-8"))
        assert not found or path.name in known, f"{path}: {found}"


def test_every_configuration_key_is_in_its_page():
    page = make.configuration_page()
    for section in SECTIONS.values():
        for key in section.values():
            assert f"| `{key.name}` |" in page


def test_every_option_of_every_command_is_in_its_page():
    page = make.commands_page()
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        for option in command.params:
            if isinstance(option, click.Option) and not option.name.startswith(make.KEY_OPTION):
                assert f"`{', '.join(option.opts)}" in page, (name, option.name)


# Versions


def test_what_is_not_released_has_a_version_of_its_own():
    """pip installs no wheel of a version that is there, and says so in passing only."""
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest, *_ = re.findall(r"^## (\d.*)$", changes, re.MULTILINE)
    there, released = (re.findall(r"\d+", each)[:3] for each in (__version__, newest))
    assert ("## Unreleased" in changes) == ([*map(int, there)] > [*map(int, released)])


# Every page


@each_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", prose(page.read_text("utf-8"))):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in titles}
            assert anchor in anchors, target


def test_every_page_is_reached_from_the_index():
    index = (DOCS / "README.md").read_text("utf-8")
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", index)}
    missing = [page.name for page in DOCS.rglob("*.md") if page.resolve() not in linked]
    assert missing == ["README.md"], "run make docs"


@each_page
def test_a_page_begins_with_its_task(page):
    first, blank, then = page.read_text("utf-8").splitlines()[:3]
    assert first.startswith("# ")
    assert blank == ""
    assert then[:1] not in {"#", "|", "-", ""}, "a page says what it is for before it goes on"


@each_page
def test_the_commands_of_a_page_are_commands_with_these_options(page):
    context = click.Context(cli)
    for block in fences(page.read_text("utf-8"), "", "sh", "console"):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            for call in re.findall(r"^(?:\$ |sudo )?(vtspolicy .*)$", line):
                words = shlex.split(call, comments=True)[1:]
                command = cli if words[0].startswith("-") else cli.get_command(context, words[0])
                assert command is not None, line
                if isinstance(command, click.Group) and len(words) > 1:
                    command = command.get_command(context, words[1]) or command
                known = {opt for param in command.params for opt in param.opts} | {"--help"}
                if command is cli:
                    known.add("--version")
                given = {word.split("=")[0] for word in words if word.startswith("--")}
                assert given <= known, line


@each_page
def test_the_metrics_of_a_page_are_metrics(page):
    known = set()
    for each in make._metric_rows():
        name = each[0].strip("`")
        known |= {name, *(name + end for end in ("_bucket", "_sum", "_count"))}
    for block in fences(page.read_text("utf-8"), "promql", "yaml"):
        for name in re.findall(r"\bvtspolicy_[a-z_]+", block):
            assert name in known


@each_page
def test_the_keys_of_a_pages_configuration_and_rules_are_keys(page):
    for block in fences(page.read_text("utf-8"), "yaml"):
        document = yaml.load(block, yaml.BaseLoader)
        if not isinstance(document, dict):
            continue
        if document.keys() & {"listen", "hosts", "node"}:
            assert document.keys() <= SECTIONS[""].keys()
        for rule in document.get("rules", ()):
            if isinstance(rule, dict):
                assert rule.keys() <= keys.RULE.keys()
        for application in (document.get("applications") or {}).values():
            assert application.keys() <= keys.APPLICATION.keys()


@each_page
def test_the_variables_of_a_page_are_variables(page):
    known = {option.variable for option in option_table()} | {"VTSPOLICY_CONFIG", "VTSPOLICY_KEY"}
    for name in re.findall(r"\bVTSPOLICY_[A-Z_]+", page.read_text("utf-8")):
        assert name in known


# Dependencies


def declared(*, for_tests=True):
    """The dependencies of setup.cfg, by their names alone."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    wanted = setup["options"]["install_requires"]
    if for_tests:
        wanted += setup["options.extras_require"]["test"]
    lines = (line.strip() for line in wanted.splitlines())
    return {re.match(r"[A-Za-z0-9-]+", line)[0].lower() for line in lines if line[:1].isalpha()}


def test_every_dependency_has_a_line_that_says_why():
    page = (DOCS / "explanation" / "dependencies.md").read_text("utf-8")
    named = {name.lower() for name in re.findall(r"^\| `([A-Za-z0-9-]+)", page, re.MULTILINE)}
    assert named == declared()


IMPORTED_AS = {
    "argon2-cffi": "argon2",
    "prometheus-client": "prometheus_client",
    "pyyaml": "yaml",
}

COME_WITH = {
    "OpenSSL": "twisted",  # by its [tls]
    "zope": "twisted",
}

FOR_SOME = {
    "hypothesis": "testing/queue_suite.py",  # users' own queues are tested with it
    "railroad": "pages.py",  # make docs
}


def test_every_library_that_is_imported_is_declared():
    known = {IMPORTED_AS.get(name, name) for name in declared(for_tests=False)}
    known |= {name for name, package in COME_WITH.items() if package in known}
    for folder in (ROOT / "vtspolicy", ROOT / "grammar"):
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [node.module]
                for top in {name.split(".")[0] for name in names} - {"vtspolicy"} - known:
                    for_some = str(path).endswith(FOR_SOME.get(top, "nowhere"))
                    assert top in sys.stdlib_module_names or for_some, f"{path}: {top}"


def test_the_cases_of_the_page_on_rule_tests_pass_for_the_table_of_the_page_on_rules(tmp_path):
    for name, page in (("rules", "rules.md"), ("cases", "test-rules.md")):
        [block, *_] = fences((DOCS / "how-to" / page).read_text("utf-8"), "yaml")
        (tmp_path / f"{name}.yaml").write_text(block)
    options = [
        "test",
        str(tmp_path / "cases.yaml"),
        "--rules",
        str(tmp_path / "rules.yaml"),
        "--full",
    ]
    result = CliRunner().invoke(cli, options)
    assert result.exit_code == 0, result.output
    assert "5 passed" in result.output
