"""What `serve` logs at its start, and a reload, of rules that cannot do all they say."""

import pytest
from twisted.logger import globalLogPublisher

from vtspolicy.cli.serve import _warn, _with_lacking
from vtspolicy.config.load import load_configuration
from vtspolicy.service import policy_of

RULES = """applications:
  DSK: {{programs: {{copy: {program}}}, read: {{{reading}: 'n=([0-9]+)'}}}}
rules:
  - {{rule: copy, when: {{family: DSK}}, run: ["{{program.copy}}", "{{path}}"], verify: none}}
"""


@pytest.fixture
def told(tmp_path):
    def told(program, reading="count"):
        (tmp_path / "rules.yaml").write_text(RULES.format(program=program, reading=reading))
        (tmp_path / "vtspolicy.yaml").write_text(
            "node: vts1\nlisten: ['tcp:port=7171:interface=127.0.0.1']\nrules: [rules.yaml]\n"
        )
        lines = []
        globalLogPublisher.addObserver(lines.append)
        try:
            policy = policy_of(load_configuration(tmp_path / "vtspolicy.yaml"))
            _warn(_with_lacking(policy))
        finally:
            globalLogPublisher.removeObserver(lines.append)
        return [each["problem"] for each in lines if each.get("action") == "configuration_warning"]

    return told


def test_a_program_that_is_not_there_is_in_the_log(told, tmp_path):
    (warning,) = told("/opt/nowhere/copy-tape")
    assert warning.startswith(f"{tmp_path / 'rules.yaml'}:4:")
    assert "warning: the program /opt/nowhere/copy-tape is not there" in warning


def test_what_is_doubtful_in_the_rules_is_in_the_log(told):
    (warning,) = told("/bin/true", "byte")
    assert 'did you mean "bytes"?' in warning


def test_where_all_is_there_nothing_is_said(told):
    assert told("/bin/true") == []
