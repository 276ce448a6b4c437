"""What is reported before the first start: vaults, ledger, spool, programs, versions."""

import json

import pytest
from click.testing import CliRunner

from vtspolicy.cli.completion import completion
from vtspolicy.cli.doctor import doctor


@pytest.fixture
def site(tmp_path):
    (tmp_path / "VAULT01" / "PAY").mkdir(parents=True)
    (tmp_path / "vtspolicy.yaml").write_text(
        "node: vts1.example.com\n"
        "listen: ['tcp:port=7171:interface=127.0.0.1']\n"
        f"ledger: sqlite://{tmp_path}/ledger.db\n"
        f"spool: {tmp_path}/spool\n"
        f"vaults: {{VAULT01: {tmp_path}/VAULT01}}\n"
        "rules: [rules.yaml]\n"
    )
    (tmp_path / "rules.yaml").write_text("rules: []\n")
    return tmp_path


def look(site):
    arguments = ["--config", str(site / "vtspolicy.yaml"), "--json"]
    done = CliRunner().invoke(doctor, arguments)
    return done.exit_code, json.loads(done.stdout)


def found(told, about):
    return [each for each in told["findings"] if each["about"] == about]


def test_a_machine_that_can_serve_has_only_the_missing_server_to_tell_of(site):
    code, told = look(site)
    assert code == 3
    wrong = {each["about"] for each in told["findings"] if each["grade"] != "ok"}
    assert wrong == {"server"}
    assert told["machine"]["node"] == "vts1.example.com"
    assert not (site / "spool").exists()
    assert not (site / "ledger.db").exists()


def test_a_vault_without_a_pool_is_doubtful(site):
    (site / "VAULT01" / "PAY").rmdir()
    _code, told = look(site)
    (vault,) = found(told, "vault VAULT01")
    assert vault["grade"] == "warning"
    assert "0 pools" in vault["told"]


def test_a_spool_that_cannot_be_made_fails(site):
    config = site / "vtspolicy.yaml"
    config.write_text(config.read_text().replace(f"{site}/spool", f"{site}/rules.yaml/spool"))
    code, told = look(site)
    assert code == 1
    assert found(told, "spool")[0]["grade"] == "failed"


def test_a_script_whose_interpreter_is_not_there_fails(site):
    script = site / "copy"
    script.write_text("#!/opt/gone/python\n")
    script.chmod(0o755)
    (site / "rules.yaml").write_text(
        "applications:\n"
        f"  DSK: {{title: ours, programs: {{copy: {script}}}}}\n"
        "rules:\n"
        "  - rule: copy\n"
        "    when: {family: DSK}\n"
        '    run: ["{program.copy}", "{path}"]\n'
    )
    code, told = look(site)
    assert code == 1
    (program,) = found(told, "program copy")
    assert "/opt/gone/python" in program["told"]


def test_a_program_that_is_named_in_a_rule_is_looked_at_too(site):
    script = site / "copy"
    script.write_text("#!/opt/gone/python\n")
    script.chmod(0o755)
    (site / "rules.yaml").write_text(
        "rules:\n"
        f"  - {{rule: a, when: {{family: DSK}}, run: [{script}, x], verify: [no-such, x]}}\n"
        f"  - {{rule: b, when: {{family: TSM}}, run: [{script}, '{{path}}'], prepare: ['true']}}\n"
    )
    code, told = look(site)
    assert code == 1
    (copy,) = found(told, "program copy")
    assert "names the interpreter /opt/gone/python" in copy["told"]
    assert "rules.yaml:2" in copy["told"]
    assert found(told, "program no-such")[0]["grade"] == "failed"
    assert found(told, "program true")[0]["grade"] == "ok"


def test_a_damaged_ledger_fails(site):
    (site / "ledger.db").write_bytes(b"this is no ledger\n" * 1000)
    code, told = look(site)
    assert code == 1
    assert found(told, "ledger")[0]["grade"] == "failed"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell):
    done = CliRunner().invoke(completion, [shell])
    assert done.exit_code == 0
    assert f"_VTSPOLICY_COMPLETE={shell}_complete" in done.stdout


def test_an_unknown_shell_is_refused():
    assert CliRunner().invoke(completion, ["csh"]).exit_code == 2


PLACES = """applications:
  DSK:
    title: disk
    places: {store: STORE, level: "7"}
rules:
  - rule: archive
    when: {family: DSK, operation: archive}
    run: [vtspolicy, disk, archive, "{path}", "--store={store}", "--handle={level}"]
    verify: none
    then: migrated
"""


@pytest.mark.parametrize(
    ("store", "grade", "words"),
    [
        ("new/store", "ok", ""),
        ("", "ok", ""),
        ("file/store", "warning", "Not a directory"),
        ("/proc/1/nothing", "warning", "it is not there and cannot be made"),
        ("/proc", "warning", "this user cannot write there"),
    ],
)
def test_the_places_of_applications_are_tried(site, store, grade, words):
    (site / "file").touch()
    (site / "rules.yaml").write_text(PLACES.replace("STORE", str(site / store)))
    _code, told = look(site)
    (place,) = [each for each in told["findings"] if each["about"].startswith("place ")]
    assert (place["about"], place["grade"]) == ("place store", grade)
    assert place["told"].startswith(f"{site / store}, of DSK")
    assert words in place["told"]
