"""The pages about applications: what they say to write can be read, and does what they say."""

import re
import shlex
from pathlib import Path

import pytest

from vtspolicy.config.load import SHIPPED
from vtspolicy.grammar import parse, shipped
from vtspolicy.rules.cases import EXAMPLE_NODE, EXAMPLE_TIME
from vtspolicy.rules.decision import Circumstances, Verdict
from vtspolicy.rules.facts import imagined
from vtspolicy.rules.load import load_table
from vtspolicy.rules.match import decide

FOLDER = Path(__file__).parents[2] / "docs" / "how-to" / "applications"
PAGES = sorted(FOLDER.glob("*.md"))
PRODUCTS = {
    "disk": "DSK",
    "restic": "RST",
    "borg": "BRG",
    "bacula": "BAC",
    "rsync": "FTX",
    "tsm": "TSM",
    "netbackup": "NBU",
    "networker": "LEG",
    "data-protector": "HPD",
    "others": "ARC",
}


def blocks(page):
    """The YAML of a page that belongs into the site's own table."""
    found = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    return [text for text in found if text.startswith(("# site.yaml", "applications:"))]


@pytest.fixture(params=PAGES, ids=lambda page: page.stem)
def page(request):
    return request.param


def table_of(page, tmp_path):
    [files] = re.findall(r"^rules: \[(.*)\]$", page.read_text(), re.MULTILINE)
    names = [name.strip() for name in files.split(",")]
    site = tmp_path / "site.yaml"
    site.write_text(blocks(page)[0])
    paths = [
        site if each == "site.yaml" else SHIPPED.parent / "default" / each[8:] for each in names
    ]
    return load_table(paths, vocabulary=shipped())


def test_there_is_a_page_for_each_shipped_table():
    assert {page.stem for page in PAGES} == set(PRODUCTS)
    tables = {path.stem for path in SHIPPED.glob("*.yaml") if "." not in path.stem}
    named = {
        name for page in PAGES for name in re.findall(r"shipped/([a-z]+)\.yaml", page.read_text())
    }
    assert named >= tables - {"bex"}


def test_what_it_says_to_write_completes_the_shipped_table(page, tmp_path):
    assert PRODUCTS[page.stem] in table_of(page, tmp_path).applications


def test_every_other_block_can_be_read_beside_the_shipped_table(page, tmp_path):
    for number, text in enumerate(blocks(page)):
        site = tmp_path / f"{number}.yaml"
        site.write_text(text)
        shipped_tables = [p for p in SHIPPED.glob("*.yaml") if not p.name.endswith(".tests.yaml")]
        load_table([site, *shipped_tables], vocabulary=shipped())


def test_the_commands_that_it_explains_run_something(page, tmp_path):
    table = table_of(page, tmp_path)
    lines = re.findall(r"^vtspolicy (?:explain|send) .*$", page.read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        command = parse(shlex.split(line)[-1], shipped())
        around = Circumstances(
            node=EXAMPLE_NODE,
            at=EXAMPLE_TIME,
            host="NSK1",
            tapes=imagined(command, at=EXAMPLE_TIME),
        )
        assert decide(table, command, around).verdict is Verdict.RUN, line


def test_it_says_whether_it_was_verified_as_the_table_does(page, tmp_path):
    status = table_of(page, tmp_path).applications[PRODUCTS[page.stem]].status
    said = "Unverified" if "**Unverified" in page.read_text().split("\n## ")[0] else "Verified"
    assert said.lower() == status


def test_it_says_whether_data_is_read_back_as_the_table_does(page, tmp_path):
    application = table_of(page, tmp_path).applications[PRODUCTS[page.stem]]
    [section] = re.findall(
        r"\n## What is checked before a tape is emptied\n(.*?)\n## ",
        page.read_text() + "\n## ",
        re.DOTALL,
    )
    can = "the data is read back" in section.lower() or "**the data read back**" in section
    assert can == (application.read_back is not None)
    assert can != ("the data is not checked" in section)


def test_it_says_where_a_restore_in_place_leaves_half_a_tape(page, tmp_path):
    works = [rule.work for rule in table_of(page, tmp_path).rules if rule.work is not None]
    name = PRODUCTS[page.stem]
    [to] = {
        each.restores_to for each in works if each.then == "restored" and each.application == name
    }
    assert (to == "path") == ("**A restore writes on the tape itself**" in page.read_text())


def test_what_it_says_to_make_belongs_to_the_user_of_the_server(page):
    made = re.findall(r"^install .*$", page.read_text(), re.MULTILINE)
    assert all("-o vtspolicy " in line for line in made)
    assert "\nvtspolicy test\n" not in page.read_text()  # a site has no rule tests yet
