"""The command line while the configuration of a server that runs well has a mistake."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.harness.cli_servers import Server
from vtspolicy.cli.control import cancel, drain
from vtspolicy.cli.jobs import jobs
from vtspolicy.cli.requests import requests
from vtspolicy.cli.status import status
from vtspolicy.cli.tape_orders import erase
from vtspolicy.config.places import load_places
from vtspolicy.ledger.sqlite.database_file import open_file

UNFINISHED = {
    "half a list": "listen: [{endpoint: 'tcp:port=7171'\n",
    "a key that is not one": "lisen: []\n",
    "a value of the wrong kind": "connections: many\n",
    "a tab": "hosts:\n\tNSK1: {}\n",
    "a host without its vault": "hosts:\n  NSK1: {vaults: [VAULT09]}\n",
    "a merge": "<<<<<<< ours\nweb: x\n",
}


class Site:
    """A folder with a ledger and a spool, and a configuration to write wrongly."""

    def __init__(self, folder: Path):
        self.config = folder / "vtspolicy.yaml"
        self.spool = folder / "spool"
        self.spool.mkdir()
        self.places = f"ledger: sqlite:///{folder / 'ledger.db'}\nspool: {self.spool}\n"
        open_file(folder / "ledger.db").close()

    def run(self, command, *arguments):
        return CliRunner().invoke(command, ["--config", str(self.config), *arguments])


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def server(site):
    server = Server(site.spool)
    yield server
    server.close()


@pytest.mark.parametrize("mistake", UNFINISHED.values(), ids=UNFINISHED.keys())
def test_an_order_reaches_a_server_whose_configuration_is_being_edited(site, server, mistake):
    site.config.write_text(f"{site.places}{mistake}")
    server.answers = [(200, {"ended": [], "stopping": [7]})]
    result = site.run(cancel, "--job", "7")
    assert (result.exit_code, result.stdout) == (0, "1 job being stopped\n")
    assert server.asked == [("/api/v1/cancel", {"job": 7})]
    assert f"{site.config}:" in result.stderr
    assert "only its ledger and spool are used" in result.stderr


def test_lists_are_read_from_the_ledger_and_no_host_is_called_unknown(site):
    site.config.write_text(f"{site.places}hosts: {{NSK1: {{peer: []}}}}\n")
    result = site.run(jobs, "--host", "NSK1", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"jobs": []})
    assert site.run(requests, "--host", "NSK7").exit_code == 0


@pytest.mark.parametrize(
    "text",
    [
        "spol: /elsewhere\nconnections: many\n",  # which spool was meant?
        "spool: /a\nspool: /b\nledger: sqlite:////c.db\n",
        "spool:\n  /a\nledger: sqlite:////c.db\nconnections: many\n",
        "ledger: mysql://x\nspool: /a\n",
        "{spool: /a, connections: many}\n",
        "connections: many\n<<<<<<< ours\n",
        "",
    ],
)
def test_where_the_places_are_not_sure_nothing_is_guessed(site, text):
    site.config.write_text(text)
    assert load_places(site.config) is None


def test_places_that_are_not_written_are_the_usual_ones(site):
    site.config.write_text("# ours\nnode: vts1\n\nlisten:\n- {endpoint: x\n]\n")
    found = load_places(site.config)
    assert str(found.spool) == "/var/lib/vtspolicy/spool"
    assert (found.node, found.whole) == ("vts1", False)


def test_a_place_of_the_environment_counts_before_that_of_the_file(site, tmp_path):
    site.config.write_text(f"{site.places}connections: many\n")
    found = load_places(site.config, {"VTSPOLICY_SPOOL": "/run/other", "VTSPOLICY_SCAN": "x"})
    assert str(found.spool) == "/run/other"
    assert found.ledger == f"sqlite:///{tmp_path / 'ledger.db'}"


def test_mistakes_in_the_configuration_need_a_person(site, server):
    site.config.write_text(f"{site.places}connections: many\n")
    server.answers = [(200, {"needs": []}), (200, {"needs": ["the server drains"]})]
    result = site.run(status, "--check")
    told = "the configuration has mistakes: no server starts with it"
    assert (result.exit_code, result.stdout) == (1, f"{told}\n")
    result = site.run(status, "--check", "--json")
    assert json.loads(result.stdout)["needs"] == ["the server drains", told]


def test_what_acts_on_tapes_by_their_path_needs_the_whole_configuration(site, server):
    site.config.write_text(f"{site.places}vaults: {{VAULT01: relative}}\n")
    result = site.run(erase, "/VAULT01/PAY/A00017")
    assert result.exit_code == 2
    assert server.asked == []


def test_without_a_mistake_there_is_no_warning(site, server):
    site.config.write_text(site.places)
    server.answers = [(200, {"running": 0})]
    result = site.run(drain)
    assert (result.exit_code, result.stderr) == (0, "")
