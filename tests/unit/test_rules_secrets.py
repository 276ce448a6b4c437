"""Secrets are known by where they go: to an argument list or a variable, from wherever."""

import pytest

from vtspolicy.config.load import SHIPPED
from vtspolicy.grammar import shipped
from vtspolicy.rules.load import read_table


def errors(tmp_path, work, places="{password: geheim, pw_file: /etc/pw, key: /etc/key}"):
    path = tmp_path / "rules.yaml"
    used = "prepare: [p, '{pw_file}', '{key}']"
    path.write_text(
        f"applications: {{DSK: {{places: {places}, {used}}}}}\n"
        f"rules:\n  - {{rule: a, when: {{family: DSK}}, {work}}}\n"
    )
    _, findings = read_table([path], vocabulary=shipped())
    told = [str(each).removeprefix(f"{path}:") for each in findings.errors]
    return [each for each in told if "no argument of DSK" not in each]


@pytest.mark.parametrize(
    "work",
    [
        'run: [x, "-k={password}"]',
        'run: [x, [--key, "{password}"]]',
        'run: [x, "{password}"]',
        'run: [x, "-repo=rest:https://me:geheim@host/r"]',
        'run: [mount, "-o=user=me,password=geheim"]',
        "run: [x], verify: [y, --api-key=abc]",
        'run: [x], env: {X: "{password}"}',
        "run: [x], env: {AWS_SECRET_ACCESS_KEY: abc}",
        "run: [x], env: {B2_ACCOUNT_KEY: abc}",
        "run: [x], env: {PGPASSWORD: geheim}",
        "run: [x], env: {REPO: 's3:https://me:geheim@host/r'}",
    ],
)
def test_a_secret_that_others_can_see_is_an_error(tmp_path, work):
    [problem] = errors(tmp_path, work)
    assert "password" in problem
    assert "geheim" not in problem.replace("password=geheim", "")


@pytest.mark.parametrize(
    "work",
    [
        'run: [x, "--password-file={pw_file}"]',
        'run: [x, "-o=user=me,passwordfile=/etc/pw"]',
        "run: [x, https://host/path?page=2]",
        'run: [x], input: ["{password}"]',
        "run: [x], env: {RESTIC_PASSWORD_FILE: '{pw_file}', SSH_KEY: '{key}'}",
        "run: [x], env: {RESTIC_PASSWORD_COMMAND: 'cat {pw_file}'}",
    ],
)
def test_files_of_secrets_and_standard_input_are_left_in_peace(tmp_path, work):
    assert errors(tmp_path, work) == []


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("???.yaml")), ids=lambda path: path.stem)
def test_no_shipped_table_has_a_secret(path):
    _, findings = read_table([path], vocabulary=shipped())
    assert findings.errors == ()
