"""The shipped tables: their own tests, full coverage, and how they judge their applications."""

import json

import pytest

from vtspolicy.config.load import SHIPPED
from vtspolicy.grammar import shipped
from vtspolicy.rules.case_file import read_cases
from vtspolicy.rules.cases import run_cases
from vtspolicy.rules.judge import judge, judge_poll, judge_query
from vtspolicy.rules.load import load_table
from vtspolicy.rules.outputs import read_output
from vtspolicy.tapes import Proof

TABLES = sorted(path for path in SHIPPED.glob("*.yaml") if not path.name.endswith(".tests.yaml"))
SIZE = {"size": "4096", "handle": "42-1"}


@pytest.fixture
def work_of():
    def work_of(family, rule):
        table = load_table([SHIPPED / f"{family}.yaml"], vocabulary=shipped())
        return next(each.work for each in table.rules if each.name == rule)

    return work_of


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_each_table_passes_its_tests_which_cover_all_its_rules(path):
    table = load_table([path], vocabulary=shipped())
    report = run_cases(table, shipped(), read_cases(path.with_suffix(".tests.yaml")))
    assert [result.difference for result in report.failed] == []
    assert report.uncovered == ()
    assert len(report.results) >= 2


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_no_exit_code_but_those_listed_is_a_success(path):
    for rule in load_table([path], vocabulary=shipped()).rules:
        if rule.work is not None and rule.work.run:
            codes = {code for code, state in rule.work.outcome.items() if state == "completed"}
            assert codes == {"0"}, rule.name


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_whatever_marks_a_tape_migrated_is_verified_by_a_query_of_its_own(path):
    for rule in load_table([path], vocabulary=shipped()).rules:
        if rule.work is not None and rule.work.then == "migrated":
            assert rule.work.verify is not None, rule.name
            asked = (rule.work.verify.run, rule.work.verify.input)
            assert asked != (rule.work.run, rule.work.input)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_restores_write_beside_the_tape_where_their_application_can(path):
    in_place = {"restore from NetBackup"}
    for rule in load_table([path], vocabulary=shipped()).rules:
        if rule.work is not None and rule.work.then == "restored":
            assert (rule.work.restores_to == "path") == (rule.name in in_place), rule.name


def test_data_is_read_back_where_the_application_can(work_of):
    archives = {
        "dsk": "archive to disk",
        "rst": "archive to restic",
        "brg": "archive to borg",
        "idr": "archive to the shelf",
    }
    for table, rule in archives.items():
        read_back = work_of(table, rule).read_back
        judged = judge_query(read_back, code=0, output=json.dumps({"digest": "ab"}), values=SIZE)
        assert judged.readings["digest"] == "ab"
    assert work_of("dsk", "archive to disk").proof is Proof.DATA
    assert work_of("rst", "archive to restic").proof is None


@pytest.mark.parametrize(
    ("table", "rule", "output"),
    [
        ("dsk", "archive to disk", "vtspolicy disk: the copy is damaged: x: wrong checksum"),
        ("rst", "archive to restic", "decrypting blob 1 failed: ciphertext verification failed"),
        ("brg", "archive to borg", "Data integrity error: Segment entry checksum mismatch"),
    ],
)
def test_a_copy_that_is_damaged_is_a_clear_no(work_of, table, rule, output):
    read_back = work_of(table, rule).read_back
    assert judge_query(read_back, code=2, output=output, values=SIZE).absent
    assert not judge_query(read_back, code=2, output="no such host", values=SIZE).absent


def test_only_a_store_that_says_so_has_no_copy(work_of):
    query = work_of("dsk", "archive to disk").verify
    missing = "vtspolicy disk: /VAULT01/PAY/A00017: no copy with handle 42-1 in /archive"
    unmounted = "vtspolicy disk: /archive: not a store, or its disk is not mounted"
    assert judge_query(query, code=1, output=missing, values=SIZE).absent
    assert not judge_query(query, code=1, output=unmounted, values=SIZE).absent


RESTIC = {"message_type": "summary", "total_files_processed": 1, "total_bytes_processed": 4096}


def test_restic_is_believed_only_when_it_read_the_whole_tape(work_of):
    work = work_of("rst", "archive to restic")
    lines = json.dumps({"message_type": "status", "percent_done": 0.5}) + "\n" + json.dumps(RESTIC)
    assert judge(work, code=0, output=lines, values=SIZE).state == "completed"
    assert read_output(work.readings, lines)["percent"] == "50"
    nothing = json.dumps(RESTIC | {"total_files_processed": 0, "total_bytes_processed": 0})
    assert judge(work, code=0, output=nothing, values=SIZE).state == "failed"
    assert judge(work, code=3, output=lines, values=SIZE).state == "failed"


def test_restic_has_a_copy_only_when_a_snapshot_is_listed(work_of):
    query = work_of("rst", "archive to restic").verify
    assert judge_query(query, code=0, output='[{"id": "x"}]', values=SIZE).state == "completed"
    for nothing in ("[]", "null", ""):
        assert judge_query(query, code=0, output=nothing, values=SIZE).state == "failed"


def borg(files, size):
    stats = {"nfiles": files, "original_size": size}
    return json.dumps({"archives": [{"name": "42-1", "stats": stats}]}, indent=4)


def test_an_empty_borg_archive_that_bears_our_name_is_no_copy(work_of):
    query = work_of("brg", "archive to borg").verify
    assert judge_query(query, code=0, output=borg(1, 4200), values=SIZE).state == "completed"
    assert judge_query(query, code=0, output=borg(0, 0), values=SIZE).state == "failed"
    assert judge_query(query, code=2, output="", values=SIZE).state == "failed"


@pytest.mark.parametrize("code", [1, 2, 30, 100, 107, 143])
def test_borg_has_not_stored_a_tape_it_warns_about(work_of, code):
    assert (
        judge(work_of("brg", "archive to borg"), code=code, output="", values=SIZE).state
        == "failed"
    )


DSMC = "Total number of objects archived:  {}\nTotal number of objects failed:  {}\n"


@pytest.mark.parametrize(
    ("code", "archived", "failed", "state"),
    [
        (0, 1, 0, "completed"),
        (8, 1, 0, "warning"),
        (4, 0, 1, "failed"),
        (0, 0, 0, "failed"),
        (8, 0, 1, "failed"),
        (12, 1, 0, "failed"),
        (3, 1, 0, "failed"),
    ],
)
def test_dsmc_is_judged_by_code_and_counts(work_of, code, archived, failed, state):
    work = work_of("tsm", "archive to TSM")
    output = DSMC.format(archived, failed)
    assert judge(work, code=code, output=output, values=SIZE).state == state


def test_a_dsmc_query_that_warns_has_found_nothing(work_of):
    query = work_of("tsm", "archive to TSM").verify
    assert judge_query(query, code=8, output="ANS1092W", values=SIZE).state == "failed"


def test_networker_must_name_its_save_time(work_of):
    work = work_of("leg", "archive to NetWorker")
    output = "save: completed savetime=1767600000\n"
    assert judge(work, code=0, output=output, values=SIZE).state == "completed"
    assert judge(work, code=0, output="save: done\n", values=SIZE).state == "failed"


def test_the_disk_archive_shows_its_progress_and_what_it_copied(work_of):
    work = work_of("dsk", "archive to disk")
    output = 'progress 3%\nprogress 37%\n{"digest": "ab", "bytes": 4096}\n'
    readings = {"percent": "37", "digest": "ab", "bytes": "4096"}
    assert read_output(work.readings, output) == readings


def test_a_copy_is_there_whatever_became_of_its_tape(work_of):
    work = work_of("dsk", "archive to disk")
    for tape in ("unchanged", "changed", "erased", "absent"):
        output = json.dumps({"tape": tape})
        assert judge_query(work.verify, code=0, output=output, values=SIZE).state == "completed"


def test_a_copy_on_the_shelf_that_is_not_as_the_tape_is_not_called_lost(work_of):
    query = work_of("idr", "archive to the shelf").verify
    stats = "Number of regular files transferred: {}\n".format
    assert judge_query(query, code=0, output=stats(0), values=SIZE).state == "completed"
    differs = judge_query(query, code=0, output=stats(1), values=SIZE)
    assert (differs.state, differs.absent) == ("warning", False)


def test_a_later_session_of_data_protector_is_no_clear_no(work_of):
    query = work_of("hpd", "archive to Data Protector").verify
    for latest, state in (("2026/11/22-7", "completed"), ("2026/11/23-1", "warning")):
        judged = judge_query(query, code=0, output=latest, values={"handle": "2026/11/22-7"})
        assert (judged.state, judged.absent) == (state, False)


SQLITE = """
          JobId: 41
      JobStatus: T
       JobFiles: 1
      ReadBytes: 5,000
      JobErrors: 0
        Comment: 42-1
"""


@pytest.mark.parametrize("shown", [SQLITE, SQLITE.lower().replace(": t\n", ": T\n")])
def test_bacula_is_read_whatever_case_its_catalogue_gives_the_columns(work_of, shown):
    work = work_of("bac", "archive to Bacula")
    judged = judge_poll(work.poll, code=0, output=shown, values=SIZE)
    assert (judged.state, judged.reason) == ("completed", "")
    read = read_output(work.verify.readings, shown)
    assert (read["state"], read["bytes"], read["comment"]) == ("T", "5,000", "42-1")


def test_states_of_bacula_that_differ_in_case_stay_apart(work_of):
    poll = work_of("bac", "archive to Bacula").poll
    shown = SQLITE.replace("JobStatus: T", "jobstatus: t")
    assert judge_poll(poll, code=0, output=shown, values=SIZE).state == "running"


def test_a_job_of_bacula_that_failed_shows_the_error_of_its_log(work_of):
    poll = work_of("bac", "archive to Bacula").poll
    shown = SQLITE.replace("JobStatus: T", "JobStatus: E")
    log = "| 2026-11-22 02:14:09 dir JobId 41: Fatal error: no client   |\n| bye |\n"
    judged = judge_poll(poll, code=0, output=shown + log, values=SIZE)
    assert judged.reason == "the application's state is E: Fatal error: no client"
