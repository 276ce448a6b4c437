"""A rule that asks for a user needs doors where no other user can claim to be one."""

import json

import pytest
from click.testing import CliRunner

from vtspolicy.cli.check import check

RULES = """
applications: {DSK: {title: disk}}
rules:
  - {rule: of a user, when: {family: DSK, user: SUPER.*}, run: ["true"]}
  - {rule: of anybody, when: {family: RST}, run: ["true"]}
"""


def warned(tmp_path, listen, rules=RULES):
    (tmp_path / "rules.yaml").write_text(rules)
    (tmp_path / "site.yaml").write_text(
        f"node: vts1\nlisten: [{listen}]\nspool: {tmp_path}/spool\nrules: [rules.yaml]\n"
    )
    told = CliRunner().invoke(check, ["--json", "--config", str(tmp_path / "site.yaml")])
    return [
        problem
        for problem in json.loads(told.stdout)["problems"]
        if "asks for a user" in problem["message"]
    ]


@pytest.mark.parametrize("format_", ["auto", "json"])
def test_a_user_on_a_door_where_anybody_can_speak_json_is_doubtful(tmp_path, format_):
    (problem,) = warned(tmp_path, f'{{endpoint: "tcp:port=7171", format: {format_}}}')

    assert problem["warning"]
    assert problem["line"] == 4
    assert '"of a user"' in problem["message"]
    assert "tcp:port=7171" in problem["message"]


@pytest.mark.parametrize(
    "listen",
    [
        '{endpoint: "tcp:port=7171", format: ems}',
        '{endpoint: "tcp:port=7171", format: syslog}',
        '{endpoint: "tls:port=7172", format: json, key: k.pem, cert: c.pem, clients: ca.pem}',
    ],
)
def test_a_door_on_which_no_user_can_be_claimed_is_not(tmp_path, listen):
    for name in ("k.pem", "c.pem", "ca.pem"):
        (tmp_path / name).write_text("")

    assert warned(tmp_path, listen) == []


def test_without_such_a_rule_no_door_is_doubtful(tmp_path):
    assert warned(tmp_path, '"tcp:port=7171"', RULES.replace(", user: SUPER.*", "")) == []
