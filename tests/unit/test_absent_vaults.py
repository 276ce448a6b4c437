"""What a person can still do when a disk is not mounted, or a file is not theirs."""

import json
import socket

import pytest
from click.testing import CliRunner

from vtspolicy.cli import cli
from vtspolicy.config.load import load_configuration
from vtspolicy.config.problems import ConfigurationError


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "vtspolicy.yaml"
    file.write_text(
        f"node: vts1\nledger: sqlite://{tmp_path}/ledger.db\nspool: {tmp_path}/spool\n"
        'listen: "tcp:port=7171:interface=127.0.0.1"\n'
        f"vaults: {{VAULT01: {tmp_path}/not-mounted}}\n"
    )
    return file


def test_a_vault_that_is_not_mounted_is_an_error_of_the_configuration(config):
    with pytest.raises(ConfigurationError, match=r":5:19: .*not-mounted is not a directory"):
        load_configuration(config)
    assert list(load_configuration(config, absent_vaults=True).vaults) == ["VAULT01"]


@pytest.mark.parametrize("command", ["status", "jobs", "requests", "tapes"])
def test_what_the_ledger_knows_is_shown_although_a_vault_is_not_mounted(config, command):
    result = CliRunner().invoke(cli, [command, "--config", str(config)])
    assert "is not a directory" not in result.output
    assert "there is no ledger" in result.output


def test_a_server_without_its_vaults_ends_so_that_it_is_started_again(config):
    def code():
        return CliRunner().invoke(cli, ["serve", "--config", str(config)]).exit_code

    assert code() == 7
    config.write_text(config.read_text() + "listn: 1\n")
    assert code() == 2


def test_doctor_looks_at_what_it_may_not_enter(config, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_dir", forbidden)
    result = CliRunner().invoke(cli, ["doctor", "--json", "--config", str(config)])
    assert result.exit_code == 1
    assert json.loads(result.stdout)


def test_who_may_not_reach_the_server_is_told_who_may(config, tmp_path, monkeypatch):
    def forbidden(self, address):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "spool").mkdir()
    monkeypatch.setattr(socket.socket, "connect", forbidden)
    result = CliRunner().invoke(cli, ["reload", "--config", str(config)])
    assert result.exit_code == 6
    assert "root, the server's user, or in the group `control_group`" in result.output
