"""The host kit's TACL, run on the simulated host: post, wait for the own request, take answers."""

import os
import re
import subprocess
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.harness.host_kits import FILES, KIT, at_kit, kit, lines_of, output
from tests.harness.simulated_terminals import Typist, logged_on, system
from vtspolicy.notices import Notice, Word, text
from vtspolicy.testing.nonstop.filters import filter_table
from vtspolicy.testing.nonstop.system import VTS
from vtspolicy.testing.nonstop.terminal import LINE_LIMIT

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref=mine-1'"


def texts(at):
    return [each.text for each in at.events]


def answer(at, word, **fields):
    """Post a notice as the kit's VTSREPLY does."""
    notice = Notice(word=Word[word], host="NSK1", fields=fields)
    at.post(text(notice), number=notice.word.number, process="01,042", ssid="VTS.100.A01")


class Asker:
    """A terminal that has asked for something with VTSASK."""

    def __init__(self, command=ARCHIVE, seconds=600, at=None):
        self.typist = at_kit(at)
        self.system = self.typist.system
        self.typist.type(f"#OUTPUT code=[VTSASK {seconds} {command}]")

    def answer(self, word, **fields):
        answer(self.system, word, **fields)
        self.wait()

    def wait(self, seconds=5):
        self.typist.clock.pump([0.5] * (2 * seconds))

    @property
    def code(self):
        """The completion code; None: it waits."""
        found = re.search(r"^code=(.*)$", self.typist.text(), re.MULTILINE)
        return found and int(found[1])


# Posting


def test_vtspost_posts_a_command_as_an_event():
    typist = at_kit()
    assert output(typist, f"#OUTPUT <[VTSPOST {ARCHIVE}]>") == ["<0>"]
    (event,) = typist.system.events
    assert (event.text, event.number, event.ssid) == (ARCHIVE, 1000, "VTS.100.A01")
    assert not event.critical


def test_a_command_far_longer_than_102_bytes_arrives_whole():
    long = f"VTSPolicy Erase - {' '.join(f'A{n:05}' for n in range(200))}"
    typist = at_kit()
    lines = [f"{long[at : at + 200]}&" for at in range(0, len(long), 200)]
    typist.type(f"VTSPOST {lines[0]}", *lines[1:-1], lines[-1][:-1])
    assert texts(typist.system) == [long]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("vtspolicy Erase - A00017", "VTS: a command begins with VTSPolicy"),
        ("Erase - A00017", "VTS: a command begins with VTSPolicy"),
        ("VTSPolicy " + "x" * 2000, "VTS: the command has more than 2000 characters"),
    ],
)
def test_what_cannot_be_a_command_is_not_posted(command, told):
    typist = at_kit()
    lines = [f"{command[at : at + 200]}&" for at in range(0, len(command), 200)]
    typist.type("#PUSH r", f"#SET r [VTSPOST {lines[0]}", *lines[1:-1], lines[-1][:-1] + "]")
    assert told in typist.text()
    assert output(typist, "#OUTPUT <[r]>") == ["<1>"]
    assert not typist.system.events


def test_a_subsystem_id_that_the_host_refuses_is_an_error():
    typist = at_kit()
    typist.type("#SET VTS^SSID nonsense")
    assert output(typist, f"#OUTPUT <[VTSPOST {ARCHIVE}]>") == [
        "VTS: the event could not be made, error -10",
        "<-10>",
    ]


# Waiting


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("COMPLETED", 0),
        ("WARNING", 1),
        ("FAILED", 2),
        ("CANCELLED", 2),
        ("TIMEDOUT", 2),
        ("INTERRUPTED", 2),
    ],
)
def test_a_final_notice_gives_its_completion_code(word, code):
    asker = Asker()
    asker.answer("ACCEPTED", req=7, jobs=1, ref="mine-1")
    assert asker.code is None
    asker.answer(word, req=7, ref="mine-1", reason="as it was")
    assert asker.code == code


@pytest.mark.parametrize("word", ["REJECTED", "DENIED", "NORULE"])
def test_a_refusal_of_ones_own_command_is_a_failure(word):
    asker = Asker()
    asker.answer(word, req=6, ref="another", reason="not yours")
    assert asker.code is None
    asker.answer(word, req=7, ref="mine-1", reason="it is so")
    assert asker.code == 2


def test_every_final_notice_and_refusal_has_a_code_and_no_other():
    typist = at_kit()
    for word in Word:
        ends = word.is_final or word in {Word.REJECTED, Word.DENIED, Word.NORULE}
        assert (output(typist, f"#OUTPUT <[VTSCODE {word.name}]>") != ["<>"]) == ends, word


def test_notices_of_other_requests_go_by():
    asker = Asker()
    asker.answer("COMPLETED", req=7, ref="other")
    asker.answer("ACCEPTED", req=8, jobs=1, ref="mine-11")
    asker.answer("COMPLETED", req=8, ref="mine-11")
    asker.answer("ACCEPTED", req=9, jobs=1, ref="mine-1")
    asker.answer("FAILED", req=90, ref="other")
    asker.answer("FAILED", req=8, ref="other", reason="not req=9 ref=mine-1 but")
    asker.answer("PROGRESS", req=9, ref="mine-1", pct=50)
    asker.answer("STATUS", req=9, reason="running")
    asker.system.post("VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00018 req=9 ref=mine-1'")
    asker.system.post("it is COMPLETED req=9 ref=mine-1")
    asker.system.post("x VTSPolicy COMPLETED req=9 ref=mine-1")
    asker.wait()
    assert asker.code is None
    asker.answer("WARNING", req=9, ref="mine-1")
    assert asker.code == 1


def test_what_was_answered_before_it_asked_does_not_count():
    at = kit()
    answer(at, "ACCEPTED", req=7, jobs=1, ref="mine-1")
    answer(at, "COMPLETED", req=7, ref="mine-1")
    asker = Asker(at=at)
    asker.wait()
    assert asker.code is None


def test_the_time_is_over_when_no_final_notice_has_come():
    asker = Asker(seconds=30)  # the clock goes on by a second with each look
    asker.answer("ACCEPTED", req=7, jobs=1, ref="mine-1")
    asker.wait(120)
    assert asker.code == 3
    assert "no final notice of mine-1 within 30 seconds; it may still run" in asker.typist.text()
    assert not asker.system.processes  # the distributor was stopped


def test_the_time_is_over_also_while_other_events_never_end():
    asker = Asker(seconds=40)
    for _ in range(100):
        asker.system.post("chatter")
    asker.wait(2)
    assert asker.code == 3


def test_a_command_without_a_reference_is_not_posted():
    asker = Asker("VTSPolicy Erase - A00017")
    assert asker.code == 3
    assert not asker.system.events
    assert "needs a ref= of its own" in asker.typist.text()


@pytest.mark.parametrize(
    "command",
    [
        "VTSPolicy Erase - A00017 ref=mine-1",
        "VTSPolicy Erase - A00017 ref=mine-1 s=vts1",
        'VTSPolicy TSM "/VAULT01/PAYROLL ref=mine-1"',
        "VTSPolicy TSM '/VAULT01/PAYROLL ref=mine-1 r=14,d'",
    ],
)
def test_the_reference_is_found_wherever_it_stands(command):
    asker = Asker(command)
    asker.answer("ACCEPTED", req=7, jobs=1, ref="mine-1")
    asker.answer("COMPLETED", req=7, ref="mine-1")
    assert asker.code == 0


def test_a_log_that_cannot_be_read_is_no_end_of_the_request():
    at = kit()
    account = at.settings.accounts[0].__class__(
        user="NO.READER", password="x", number=(9, 9), reads_events=False
    )
    typist = logged_on(at)
    typist.session.console.account = account
    typist.type(f"#OUTPUT code=[VTSASK 9 {ARCHIVE}]")
    assert "could not be opened, error 14" in typist.text()
    assert typist.text().endswith("code=3\n2> ")
    assert not at.events


def test_a_distributor_that_stops_while_it_waits_gives_no_success():
    asker = Asker()
    asker.answer("ACCEPTED", req=7, jobs=1, ref="mine-1")
    asker.typist.session.console.processes[0].stop()
    asker.wait()
    assert "did not answer, error 14" in asker.typist.text()
    assert asker.code == 3


def test_vtswait_ends_tacl_with_the_completion_code():
    typist = at_kit()
    typist.type(f"VTSWAIT 600 {ARCHIVE}")
    answer(typist.system, "ACCEPTED", req=7, ref="mine-1")
    answer(typist.system, "WARNING", req=7, ref="mine-1")
    typist.clock.pump([1] * 5)
    assert typist.session.is_over
    assert typist.session.completion_code == 1


@pytest.mark.parametrize("call", ["VTSASK", "VTSASK 0 x", "VTSASK x", "VTSASK 60", "VTSEND 4"])
def test_wrong_arguments_are_errors_and_nothing_is_posted(call):
    typist = at_kit()
    assert output(typist, call)[-1].startswith("*ERROR* Expecting")
    assert not typist.system.events


hostile = st.text("[]{}|~=&;?!\"' #OUTPUTreqf719-", max_size=80)


@given(st.lists(hostile, max_size=3))
@settings(max_examples=20)
def test_nothing_that_an_application_wrote_ends_anothers_request_or_acts(reasons):
    asker = Asker()
    asker.answer("ACCEPTED", req=7, jobs=1, ref="mine-1")
    for reason in reasons:
        answer(asker.system, "FAILED", req=71, ref="mine-11", reason=f"{reason} req=7 ref=mine-1")
        answer(asker.system, "FAILED", req=9, ref="x", tape=reason, reason="[#OUTPUT OWNED] ~;")
        asker.system.post(f"VTSPolicy x{reason} COMPLETED req=7 ref=mine-1")
    asker.wait()
    assert asker.code is None
    asker.answer("COMPLETED", req=7, ref="mine-1", reason="[#OUTPUT OWNED]")
    assert asker.code == 0
    assert not any(each.startswith("#OUTPUT OWNED") for each in asker.system.commands)


# Receiving


def test_vtsreply_posts_plain_lines_until_an_empty_one():
    typist = at_kit()
    assert typist.type("VTSREPLY 1301") == "VTSREPLY> "
    typist.type("VTSPolicy COMPLETED req=7 reason=[#OUTPUT OWNED]~;", "second &")
    assert output(typist, "") == ["2 posted"]
    assert [(each.number, each.text) for each in typist.system.events] == [
        (1301, "VTSPolicy COMPLETED req=7 reason=[#OUTPUT OWNED]~;"),
        (1301, "second &"),
    ]
    assert output(typist, "#OUTPUT [#INFORMAT]") == ["TACL"]


@pytest.mark.parametrize(("number", "critical"), [(1301, False), (1303, True), (1402, True)])
def test_what_needs_somebody_is_critical(number, critical):
    typist = at_kit()
    typist.type(f"VTSREPLY {number}", "VTSPolicy X", "")
    assert typist.system.events[0].critical is critical


def test_vtsreply_needs_a_number():
    typist = at_kit()
    for call in ("VTSREPLY", "VTSREPLY x", "VTSREPLY 0", "VTSREPLY 1 2"):
        assert output(typist, call)[-1].startswith("*ERROR* Expecting")


letters = st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f")


@given(st.lists(st.text(letters | st.sampled_from("[]{}|~=&;?!"), max_size=60), max_size=3))
@settings(max_examples=20)
def test_hostile_text_never_acts(reasons):
    typist = at_kit()
    posted = [f"VTSPolicy FAILED reason=[#OUTPUT OWNED] ~; {each}" for each in reasons]
    typist.type("VTSREPLY 1303", *posted, "")
    assert texts(typist.system) == posted
    assert not any(each.startswith("#OUTPUT OWNED") for each in typist.system.commands)
    assert output(typist, "#OUTPUT still here") == ["still here"]


def test_a_line_that_is_too_long_is_cut_and_still_one_event():
    typist = at_kit()
    typist.type("VTSREPLY 1303", "VTSPolicy FAILED req=7 reason=" + "x" * 300, "")
    (event,) = typist.system.events
    assert len(event.text) == LINE_LIMIT


def test_break_in_vtsreply_gives_the_prompt_back_as_it_was():
    typist = at_kit()
    typist.type("VTSREPLY 1301", "VTSPolicy one")
    typist.session.press_break()
    assert output(typist, "#OUTPUT [#INFORMAT]") == ["TACL"]
    assert texts(typist.system) == ["VTSPolicy one"]


# The self-test and the NetBatch example


def test_the_self_test_passes_on_the_simulated_host():
    typist = at_kit()
    typist.type("LOAD /KEEP 1/ $SYSTEM.VTS.VTSTEST", "VTSTEST")
    typist.clock.pump([0.5] * 10)
    assert typist.text().rstrip("2345> \n").endswith("VTSTEST passed")
    assert "FAILED (" not in typist.text()
    assert not typist.system.processes


def test_the_self_test_fails_where_events_cannot_be_made():
    typist = at_kit()
    typist.type("#SET VTS^SSID nonsense", "LOAD /KEEP 1/ $SYSTEM.VTS.VTSTEST", "VTSTEST")
    typist.clock.pump([0.5] * 300)
    assert "VTSTEST 4 FAILED (-10)" in typist.text()
    assert "VTSTEST 5 FAILED" in typist.text()
    assert "VTSTEST FAILED" in typist.text()


class Job:
    """A job of NetBatch: TACL reads a file, line by line, and may release another job."""

    def __init__(self, name, *, error="", **settings):
        self.released = []

        def release(tacl, rest):
            yield from ()
            scheduler, job, variable = rest.split()
            self.released.append((scheduler, job))
            if error:
                tacl.variables.set(variable, error)
            return ""

        self.system = kit(routines={"ZBAT:RELEASE": release}, taclcstm=(), **settings)
        self.typist = logged_on(self.system)
        self.rest = lines_of(name)
        self.read()

    def read(self):
        """Let TACL read the file until it waits for something, or ends."""
        while self.rest and self.typist.prompt and not self.typist.session.is_over:
            self.typist.type(self.rest.pop(0))

    @property
    def ref(self):
        return re.search(r"ref=([\w-]+)", self.system.events[0].text)[1]

    def end(self, word):
        """Answer the job's command, and let it read the rest of its file."""
        if word:
            answer(self.system, "ACCEPTED", req=7, ref=self.ref)
            answer(self.system, word, req=7, ref=self.ref)
            self.typist.clock.pump([1] * 5)
        else:
            self.system.settings.now.now += timedelta(hours=8)
            self.typist.clock.pump([1] * 5)
        self.read()
        return self.typist.session.completion_code


@pytest.mark.parametrize(
    ("word", "code", "releases"),
    [("COMPLETED", 0, True), ("WARNING", 1, False), ("FAILED", 2, False), (None, 3, False)],
)
def test_the_dependent_job_is_released_only_when_the_archive_has_completed(word, code, releases):
    job = Job("vtsarch.tacl")
    assert not job.released
    assert job.end(word) == code
    assert job.released == ([("$ZBAT", "PAYROLL-NEXT")] if releases else [])


def test_a_job_that_cannot_release_has_failed():
    job = Job("vtsarch.tacl", error="2099")
    assert job.end("COMPLETED") == 2
    assert "PAYROLL-NEXT was not released, error 2099" in job.typist.text()


def test_a_job_without_the_kit_releases_nothing_and_has_failed():
    job = Job("vtsarch.tacl", files={})
    assert job.typist.session.completion_code == 3
    assert not job.released


def test_every_run_of_the_job_has_a_reference_of_its_own():
    assert re.fullmatch(r"payroll-\d{18}", Job("vtsarch.tacl").ref)


def test_the_second_job_erases_the_tape_and_waits():
    job = Job("vtsnext.tacl")
    assert job.system.events[0].text.startswith("VTSPolicy Erase - A00017 ref=payroll-")
    assert job.end("COMPLETED") == 0


# The files


def test_no_variable_of_a_routine_has_the_name_of_a_section():
    for library in FILES.values():
        names = set(re.findall(r"^\?SECTION (\S+)", library, re.MULTILINE))
        pushed = re.findall(r"^ *#PUSH (.*)$", library, re.MULTILINE)
        assert not {word.upper() for line in pushed for word in line.split()} & names


def test_lines_fit_a_file_of_a_host_and_are_ascii():
    for path in KIT.iterdir():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            assert path.suffix == ".md" or len(line) <= 132, f"{path.name}:{number}"
            assert path.suffix == ".md" or line.isascii(), f"{path.name}:{number}"


def test_every_file_that_can_says_that_it_was_not_run_on_a_host():
    for path in KIT.iterdir():
        if path.suffix in (".tacl", ".emf", ".sh", ".md"):
            head = path.read_text("utf-8")[:2500]
            assert re.search(r"NOT (compiled or )?run on a host", head), path.name


def test_the_table_of_completion_codes_is_that_of_the_routine():
    table = re.findall(
        r"^\| `([A-Z]+)` \| (\d) \|$", (KIT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    typist = at_kit()
    ends = {word for word in Word if word.is_final} | {Word.REJECTED, Word.DENIED, Word.NORULE}
    assert dict(table).keys() == {word.name for word in ends}
    for word, code in table:
        assert output(typist, f"#OUTPUT [VTSCODE {word}]") == [code]


def test_every_file_of_the_kit_is_in_its_table():
    readme = (KIT / "README.md").read_text("utf-8")
    named = re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", readme, re.MULTILINE)
    assert set(named) == {path.name for path in KIT.iterdir()} - {"README.md"}


def test_the_filter_table_passes_commands_answers_and_mounts():
    passes = filter_table((KIT / "vtstable.txt").read_text("utf-8"))
    at = system()
    for word in Word:
        answer(at, word.name)
    at.write_plainly("VTSPolicy Erase - A00017")
    number = at.request_mount("A00017").number
    at.mounted(number)
    at.rejected(at.request_mount("A00018", label="IBM", write_protected=True).number)
    at.cancelled(at.request_mount("A00019", label="NL").number)
    typist = at_kit()
    typist.type(f"VTSPOST {ARCHIVE}")
    assert all(passes(event) for event in (*at.events, *typist.system.events))
    assert not passes(at.post("anything else"))


@pytest.mark.parametrize(
    "line", [each for each in lines_of("vtsdist.tacl") if each.startswith("EMSDIST")]
)
def test_the_start_lines_of_a_distributor_start_one(line):
    table = {"$SYSTEM.VTS.VTSTABLE": filter_table((KIT / "vtstable.txt").read_text("utf-8"))}
    typist = logged_on(system(filters=table))
    typist.type(line)
    assert [each.name for each in typist.session.console.processes] == ["$VTS"]
    typist.session.press_break()
    typist.type("STOP $VTS")
    assert not typist.session.console.processes


# OSS


class Oss:
    """The script, with a `gtacl` that keeps the line that it is given and shows a text."""

    def __init__(self, folder, shows):
        self.line = folder / "line"
        program = folder / "gtacl"
        program.write_text(f'#!/bin/sh\nprintf %s "$2" > {self.line}\nprintf "{shows}"\nexit 0\n')
        program.chmod(0o755)
        self._path = f"{folder}:{os.environ['PATH']}"

    def run(self, *words):
        return subprocess.run(
            ["sh", KIT / "vtsask.sh", *words],
            env={"PATH": self._path},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.mark.parametrize(
    ("shows", "code"),
    [
        ("VTSPolicy COMPLETED req=7\\r\\nVTSCODE=0\\r\\n", 0),
        ("VTSCODE=2\\n", 2),
        ("*ERROR* no\\n", 3),
        ("VTSPolicy FAILED reason=VTSCODE=0\\n", 3),
        ("", 3),
    ],
)
def test_the_script_for_oss_ends_with_the_code_that_tacl_shows(tmp_path, shows, code):
    assert Oss(tmp_path, shows).run("600", ARCHIVE).returncode == code


def test_the_line_of_the_script_for_oss_is_understood_by_tacl(tmp_path):
    oss = Oss(tmp_path, "")
    oss.run("600", ARCHIVE)
    typist = Typist(kit(), command=oss.line.read_text("utf-8"), account=VTS)
    answer(typist.system, "ACCEPTED", req=7, ref="mine-1")
    answer(typist.system, "WARNING", req=7, ref="mine-1")
    typist.clock.pump([1] * 5)
    assert typist.text().endswith("VTSCODE=1\n")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("600",),
        ("x", ARCHIVE),
        ("600", "VTSPolicy DSK '/VAULT01/P ref=[#OUTPUT x]'"),
        ("600", "VTSPolicy x ~; PURGE y"),
        ("600", "VTSPolicy x == y"),
        ("600", "VTSPolicy x\nPURGE y"),
        ("600", "VTSPolicy é"),
        ("600", "VTSPolicy " + "x" * 200),
    ],
)
def test_the_script_for_oss_refuses_what_could_act_or_be_cut(tmp_path, words):
    oss = Oss(tmp_path, "VTSCODE=0\\n")
    done = oss.run(*words)
    assert done.returncode == 3
    assert done.stderr.startswith("vtsask: ")
    assert not oss.line.exists()
