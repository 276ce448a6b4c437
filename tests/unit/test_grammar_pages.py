"""The reference and the diagrams are those of the grammar and the vocabulary as they are now."""

import re
import subprocess
import sys

import pytest

from vtspolicy.grammar import load_vocabulary, parse, shipped
from vtspolicy.grammar.pages import FOLDER, MISTAKES, labels, mistake, railroad, readme
from vtspolicy.grammar.reference import example

REMEDY = "stale: run python -m vtspolicy.grammar.pages"


def test_the_reference_is_not_stale():
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == readme(shipped()), REMEDY


def test_the_diagrams_are_not_stale():
    page = (FOLDER / "railroad.html").read_text(encoding="utf-8")
    assert labels(page) == labels(railroad(shipped())), REMEDY


def test_the_diagrams_name_every_family_and_keyword():
    words = set(labels(railroad(shipped())))
    for family in shipped().families.values():
        assert f"{family.name} command" in words
        assert {f"'{name}'" for name in family.words} <= words


def test_the_diagrams_are_the_same_in_every_process():
    program = (
        "import hashlib; from vtspolicy.grammar import shipped; "
        "from vtspolicy.grammar.pages import railroad; "
        "print(hashlib.sha256(railroad(shipped()).encode()).hexdigest())"
    )
    import hashlib

    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == hashlib.sha256(railroad(shipped()).encode()).hexdigest()


def test_a_new_keyword_makes_both_pages_stale(tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("families: {TSM: {keywords: {costcentre: {type: number, help: who pays}}}}\n")
    vocabulary = load_vocabulary([site])
    assert "| `costcentre` |" in readme(vocabulary)
    assert "'costcentre'" in labels(railroad(vocabulary))


@pytest.mark.parametrize("family", shipped().families.values(), ids=lambda family: family.name)
def test_the_example_of_every_family_is_right(family):
    assert parse(example(family)).family == family.name


def test_the_mistakes_of_the_reference_are_mistakes():
    assert all("^" in mistake(text, shipped()) for text in MISTAKES)


def test_the_site_file_of_the_reference_loads(tmp_path):
    sample = re.search(r"```yaml\n(.*?)```", readme(shipped()), re.DOTALL)
    site = tmp_path / "site.yaml"
    site.write_text(sample[1])
    vocabulary = load_vocabulary([site])
    assert "costcentre" in vocabulary.families["TSM"].keywords
    assert parse("VTSPolicy XYZ 'archive /VAULT01/P t=gold'", vocabulary).family == "XYZ"
