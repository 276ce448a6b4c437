"""The vocabulary: what is shipped, what a site can add, and how its mistakes are reported."""

import pytest

from vtspolicy.config.problems import ConfigurationError
from vtspolicy.grammar import CommandError, load_vocabulary, parse, shipped


@pytest.fixture
def site(tmp_path):
    def write(text):
        file = tmp_path / "families.yaml"
        file.write_text(text)
        return file

    return write


def problems_of(*files):
    with pytest.raises(ConfigurationError) as caught:
        load_vocabulary(files)
    return [str(problem).removeprefix(str(problem.file)) for problem in caught.value.problems]


def test_every_family_of_the_manuals_and_ours_is_shipped():
    applications = [family.name for family in shipped().applications]
    assert applications[:8] == ["TSM", "NBU", "LEG", "BEX", "HPD", "ARC", "IDR", "FTX"]
    assert applications[8:] == ["DSK", "RST", "BRG", "BAC"]
    verbs = [family.name for family in shipped().verbs]
    assert verbs == ["Erase", "Delete", "Restore", "Status", "Cancel"]


def test_facts_of_the_manuals_and_our_own_are_distinguished():
    families = shipped().families
    assert {families[name].status for name in ("TSM", "NBU", "Erase")} == {"documented"}
    assert {families[name].status for name in ("DSK", "RST", "Status")} == {"ours"}
    assert all(keyword.source for f in families.values() for keyword in f.keywords.values())


def test_every_application_family_requires_the_source_in_a_cluster():
    for family in shipped().applications:
        assert family.keywords["source"].required == "cluster"
        assert list(family.keywords)[:4] == ["source", "destination", "optfile", "retention"]


def test_a_site_adds_a_family_and_keywords_to_another(site):
    vocabulary = load_vocabulary(
        [
            site(
                """\
families:
  XYZ:
    title: our own archive
    operations: [keep]
    keywords:
      tier: {short: t, type: name, required: always, help: which tier}
  TSM:
    keywords:
      costcentre: {type: number, help: who pays}
"""
            )
        ]
    )
    assert parse("VTSPolicy XYZ 'keep /VAULT01/P s=a t=gold'", vocabulary).operation == "keep"
    command = parse("VTSPolicy TSM '/VAULT01/P costcentre=7'", vocabulary)
    assert command.keywords == {"costcentre": "7"}
    with pytest.raises(CommandError, match="expected tier=, which XYZ always needs") as caught:
        parse("VTSPolicy XYZ '/VAULT01/P'", vocabulary)
    assert caught.value.column == 26
    with pytest.raises(CommandError, match='found "archive"'):
        parse("VTSPolicy XYZ 'archive /VAULT01/P t=x'", vocabulary)
    with pytest.raises(CommandError, match='found "keep"'):
        parse("VTSPolicy TSM 'keep /VAULT01/P'", vocabulary)
    with pytest.raises(CommandError, match='found "XYZ"'):
        parse("VTSPolicy XYZ '/VAULT01/P t=x'")


def test_a_site_adds_a_core_keyword_to_every_application_family(site):
    file = site(
        "core: {costcentre: {short: cc, type: number, help: who pays}}\n"
        "families: {XYZ: {title: our own}}\n"
    )
    vocabulary = load_vocabulary([file])
    for family in ("TSM", "BAC", "XYZ"):
        command = parse(f"VTSPolicy {family} '/VAULT01/P cc=7'", vocabulary)
        assert command.keywords == {"costcentre": "7"}
    assert "costcentre" not in vocabulary.families["Erase"].keywords


def test_all_mistakes_of_a_file_are_reported_with_their_places(site):
    text = """\
families:
  XYZ:
    titel: our own
    takes: tapes
    operations: archive
    keywords:
      tier: {type: nmae, help: which tier}
      source: {type: host, help: again}
      third: {short: s, type: host, help: again}
      ref: {type: name, help: taken}
      node: {type: name, help: taken}
      9th: {type: name, help: no word}
      last: {type: name}
  TSM:
    title: mine
    keywords: {st: {type: name, help: taken}}
  A B: {title: no word}
fmilies: {}
"""
    assert problems_of(site(text)) == [
        ":2:3: XYZ has no title; add title: ...",
        ':3:5: unknown key "titel" in family XYZ; did you mean "title"?',
        ":4:12: only the shipped verbs take that; leave it out",
        ":5:17: operations must be a list; write [archive, selective]",
        ':7:20: "nmae" is not a valid type; did you mean "name"?',
        ':10:7: "ref" has its own meaning already; choose another name',
        ':11:7: "node" has its own meaning already; choose another name',
        ':12:7: "9th" cannot be a keyword; a letter, then up to 31 letters, digits, _ or -',
        ":13:7: last has no help; add help: ...",
        ":15:5: family TSM is there already: its title stays; give only keywords: to add to it",
        ':16:16: keyword "st" of TSM is there already, as sourceTSM; choose another name',
        ':17:3: "A B" cannot be a family; a letter, then up to 31 letters, digits, _ or -',
        ':18:1: unknown key "fmilies" in the file; did you mean "families"?',
    ]


def test_a_keyword_that_clashes_with_a_core_keyword_is_an_error(site):
    text = """\
families:
  XYZ:
    title: our own
    keywords:
      source: {type: host, help: again}
      third: {short: s, type: host, help: again}
"""
    assert problems_of(site(text)) == [
        ':5:7: keyword "source" of XYZ is there already, as source; choose another name',
        ':6:7: keyword "s" of XYZ is there already, as source; choose another name',
    ]


def test_a_core_keyword_that_clashes_with_one_of_a_family_is_an_error(site):
    assert problems_of(site("core: {policy: {type: name, help: taken}}\n")) == [
        ':1:8: keyword "policy" of NBU is there already, as policy; choose another name'
    ]


def test_a_verb_takes_further_keywords_but_no_new_verb_can_be_made(site):
    vocabulary = load_vocabulary(
        [site("families: {Erase: {keywords: {why: {type: name, help: the reason}}}}\n")]
    )
    assert parse("VTSPolicy Erase - A why=old", vocabulary).keywords == {"why": "old"}
    assert problems_of(site("families: {Burn: {title: it, takes: tapes}}\n")) == [
        ":1:37: only the shipped verbs take that; leave it out"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("families: []\n", ":1:11: families must be a mapping, found a list"),
        ("families: {X: {title: 9}}\n", ":1:23: title must be text, found 9; quote it"),
        (
            'families: {X: {title: "a\\nb"}}\n',
            ":1:23: title must be one line of 1 to 200 characters",
        ),
        (
            "families: {X: {title: x, operations: [a, a]}}\n",
            ':1:42: operation "a" is there twice; remove one of them',
        ),
        (
            "families: {X: {title: x, keywords: {k: {type: name, help: h, short: k}}}}\n",
            ":1:69: the short name is the long one; leave it out",
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_reported_with_its_place(site, text, problem):
    assert problems_of(site(text)) == [problem]


def test_duplicate_keys_and_words_that_yaml_changes_are_reported(site):
    found = problems_of(site("families:\n  X: {title: on}\n  X: {title: x}\n"))
    assert found[0].startswith(":2:14: on can mean the word or true")
    assert any(problem.startswith(':3:3: the key "X" is here twice') for problem in found)


def test_a_file_that_is_not_there_is_reported_by_its_name(tmp_path):
    assert problems_of(tmp_path / "none.yaml") == [
        ":1:1: the file cannot be read: No such file or directory"
    ]


def test_an_empty_file_adds_nothing(site):
    assert list(load_vocabulary([site("# nothing yet\n")]).families) == list(shipped().families)
