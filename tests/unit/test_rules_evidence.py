"""What a table says about the proof of copies, and about where a restore writes to."""

import json

import pytest

from vtspolicy.grammar import shipped
from vtspolicy.ledger.works import work_of, work_text
from vtspolicy.rules.check import Surroundings, check_table
from vtspolicy.rules.load import load_table
from vtspolicy.rules.work import Work
from vtspolicy.tapes import Proof

HERE = Surroundings(find_program=lambda name: f"/bin/{name}", why_secret_unsafe=lambda _: None)
READ_BACK = "read_back: {run: [cat, '{path}', '{target}'], read: {digest: {field: digest}}}"


@pytest.fixture
def load(tmp_path):
    def load(*texts):
        paths = []
        for number, each in enumerate(texts):
            path = tmp_path / f"{number}.yaml"
            path.write_text(each)
            paths.append(path)
        return load_table(paths, vocabulary=shipped())

    return load


def only_work(table):
    [rule] = table.rules
    return rule.work


def archive(more=""):
    return f"rules: [{{rule: a, when: {{family: TSM}}, run: [x], then: migrated{more}}}]\n"


def restore(run):
    return (
        "rules: [{rule: a, when: {family: Restore}, application: TSM, then: restored,"
        f" run: [x, {run}]}}]\n"
    )


@pytest.mark.parametrize(
    ("written", "proof", "every"),
    [
        ("", None, None),
        (", proof: found", Proof.FOUND, None),
        (", proof: {every: 30d}", None, 30 * 86400.0),
        (", proof: {need: found, every: 12h}", Proof.FOUND, 12 * 3600.0),
    ],
)
def test_a_rule_says_what_proof_its_copies_need_and_how_often(load, written, proof, every):
    work = only_work(load(archive(written)))
    assert (work.proof, work.every) == (proof, every)


def test_a_rule_that_says_only_how_often_keeps_the_proof_of_its_application(load):
    application = f"applications: {{TSM: {{{READ_BACK}, archive: {{proof: data}}}}}}\n"
    work = only_work(load(application + archive(", proof: {every: 30d}")))
    assert (work.proof, work.every) == (Proof.DATA, 30 * 86400.0)
    assert only_work(load(application + archive(", proof: found"))).proof is Proof.FOUND


def test_what_reads_the_data_is_there_for_rules_that_copy(load):
    application = f"applications: {{TSM: {{{READ_BACK}, touches: [ctime]}}}}\n"
    table = load(application + archive())
    work = only_work(table)
    assert work.read_back == table.applications["TSM"].read_back
    assert work.read_back.run == ("cat", "{path}", "{target}")
    assert work.read_back.timeout == 24 * 3600.0
    assert work.touches
    back = only_work(load(application + restore("'{path}'")))
    assert (back.read_back, back.touches) == (None, False)


def test_an_erase_may_ask_for_data_of_the_applications_that_can_be_read(load):
    application = f"applications: {{TSM: {{{READ_BACK}}}}}\n"
    erase = "  - {{rule: e, when: {{family: Erase{}}}, then: erased, proof: data}}\n".format
    copying = (
        "rules:\n  - {rule: a, when: {family: TSM}, run: [x], then: migrated}\n"
        "  - {rule: b, when: {family: NBU}, run: [x], then: migrated}\n"
    )
    table = load(application + copying + erase(", tape: {application: TSM}"))
    assert table.rules[-1].work.proof is Proof.DATA


@pytest.mark.parametrize(
    ("run", "to"),
    [
        ("'{path}'", "path"),
        ("'{handle}'", "path"),
        ("'{path}', '--to={target}'", "target"),
        ("[-C, '{staging}'], '{relsource}'", "staging"),
        ("'{{target}}'", "path"),
    ],
)
def test_where_a_restore_writes_is_reported_by_the_places_it_uses(load, run, to):
    assert only_work(load(restore(run))).restores_to == to


def test_a_work_of_an_earlier_version_can_be_read_and_equal_works_have_equal_texts(load):
    work = only_work(load(f"applications: {{TSM: {{{READ_BACK}}}}}\n" + archive(", proof: data")))
    assert work_of(work_text(work)) == work
    assert work_text(work_of(work_text(work))) == work_text(work)
    plain = only_work(load(archive()))
    old = json.loads(work_text(plain))
    for name in ("proof", "every", "read_back", "touches"):
        del old[name]
    assert work_of(json.dumps(old)) == plain
    assert isinstance(work_of(work_text(work)), Work)


def test_the_copies_of_a_pool_are_asked_for_by_the_names_of_their_tapes(load):
    pool = ", each: pool, verify: [q, '{cartridge}', '{size}']"
    assert only_work(load(archive(pool))).verify.run == ("q", "{cartridge}", "{size}")
    assert problems(load(archive(pool))) == []
    [problem] = problems(load(archive(", each: pool, verify: [q, '{handle}']")))
    assert problem.warning
    assert "asked for each tape of the pool, and names none of them" in problem.message


def problems(table):
    return check_table(table, HERE)
