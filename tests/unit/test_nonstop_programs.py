"""EMSDIST, FUP and MEDIACOM of the simulated system, its event log and its mounts."""

from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.simulated_terminals import AT, Times, distributor, logged_on, system
from vtspolicy.events.decoder import decoder
from vtspolicy.events.mounts import read_mount
from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.emsdist import NO_TYPE, SYNTAX
from vtspolicy.testing.nonstop.filters import filter_table, filter_tables
from vtspolicy.testing.nonstop.journal import FileJournal
from vtspolicy.testing.nonstop.system import System

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 optfile=/opt/tivoli/dsm.opt ref=mine'"


def read(text):
    """The events that our own decoder finds in a display."""
    reader = decoder("ems", only_candidates=False)
    return [*reader.feed(text.encode("utf-8", "surrogateescape")), *reader.close()]


def texts(shown):
    return [event.text for event in read(shown)]


# The distributor


def test_a_distributor_shows_events_as_they_come_and_no_earlier_ones():
    typist = logged_on()
    typist.system.post("before")
    assert distributor(typist) == ""
    before = len(typist.data)
    event = typist.system.post(ARCHIVE, critical=True)
    shown = typist.text(before)
    assert shown.split("\n")[1].startswith(" " * 36 + "/VAULT01")
    assert shown[: shown.index("USER.BATCH")].endswith("* ")
    (found,) = read(shown)
    assert (found.text, found.critical, found.number) == (ARCHIVE, True, 1234)
    assert found.time == event.time.replace(tzinfo=None)


def test_time_shows_what_was_generated_then_or_later():
    typist = logged_on()
    events = [typist.system.post(f"event {number}") for number in range(5)]
    shown = distributor(typist, f"TIME {events[2].time:%Y-%m-%d %H:%M:%S}")
    assert texts(shown) == ["event 2", "event 3", "event 4"]


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-11-22", True),
        ("22 NOV 2026", True),
        ("Nov 22 2026 02:14", True),
        ("2026-11-22 02:15", False),
        ("02:14", True),
        ("2:14:59", False),
        ("2026-11-23", False),
    ],
)
def test_time_has_several_forms(moment, shown):
    typist = logged_on()
    typist.system.post("event")
    assert ("event" in distributor(typist, f"TIME {moment}")) == shown


def test_events_are_kept_while_no_link_is_up():
    at = system()
    first = logged_on(at)
    distributor(first)
    first.session.lost()
    assert not at.processes
    missed = at.post("missed")
    second = logged_on(at)
    assert "missed" in distributor(second, f"TIME {missed.time:%Y-%m-%d %H:%M:%S}")
    assert "missed" not in first.text()


def test_a_stop_ends_the_replay_and_gives_the_prompt_back():
    typist = logged_on()
    events = [typist.system.post(f"event {number}") for number in range(5)]
    shown = distributor(
        typist,
        f"TIME {events[0].time:%Y-%m-%d %H:%M:%S}",
        f"STOP {events[3].time:%Y-%m-%d %H:%M:%S}",
    )
    assert "event 2" in shown
    assert "event 3" not in shown
    assert typist.prompt == "2> "
    assert not typist.system.processes


def test_a_stop_ahead_ends_it_with_the_next_event():
    typist = logged_on()
    distributor(typist, f"STOP {AT + timedelta(seconds=7):%Y-%m-%d %H:%M:%S}")
    for number in range(6):
        typist.system.post(f"event {number}")
    assert texts(typist.text().removesuffix("2> ")) == ["event 0", "event 1", "event 2"]
    assert typist.prompt == "2> "


def test_break_gives_the_prompt_back_and_stop_ends_the_distributor():
    typist = logged_on()
    distributor(typist)
    assert typist.type("TIME") == ""  # nobody reads
    typist.session.press_break()
    assert typist.prompt == "2> "
    typist.system.post("while the prompt is there")
    lines = typist.text().split("\n")
    assert lines[-3] == "2> "  # the display begins on a line of its own
    assert lines[-2].endswith("while the prompt is there")
    typist.type("STOP")
    typist.system.post("nobody shows this")
    assert "nobody" not in typist.text()


def test_nowait_gives_the_prompt_back_at_once():
    typist = logged_on()
    typist.type("EMSDIST /NAME $A, NOWAIT/ TYPE P, COLLECTOR $0, TEXTOUT $HOME")
    assert typist.prompt == "2> "
    typist.system.post("event")
    assert "event" in typist.text()


def test_a_process_name_is_there_once():
    at = system()
    distributor(logged_on(at))
    assert "*ERROR* Process $VTS exists already" in distributor(logged_on(at))
    assert distributor(logged_on(at), name="") == ""  # the system finds a name
    assert at.processes == {"$VTS", "$X001"}
    assert "*ERROR* VTS is not a process name" in distributor(logged_on(at), name="VTS")


def test_what_goes_elsewhere_is_not_shown():
    typist = logged_on()
    typist.type("EMSDIST /NAME $A/ TYPE P, COLLECTOR $0, TEXTOUT $S.#LP")
    typist.system.post("event")
    assert "event" not in typist.text()


def test_local_time_and_gmt():
    west = timezone(timedelta(hours=-5))
    typist = logged_on(zone=west)
    distributor(typist)
    typist.session.press_break()
    distributor(typist, "GMT ON", name="$GMT")
    typist.system.post("event")
    shown = [line for line in typist.text().split("\n") if line.endswith("event")]
    assert [line[:14] for line in shown] == ["26-11-21 21:14", "26-11-22 02:14"]


def test_indent_and_columns():
    typist = logged_on(columns=132)
    distributor(typist, "INDENT 7")
    typist.system.post(ARCHIVE)
    lines = typist.text().split("\n")[-3:-1]
    assert len(lines[0]) <= 132
    assert lines[1] == "       ref=mine'"


def test_filters_all_have_to_pass():
    tables = {
        "VTSF": "USER     BATCH     1234                1\n",
        "NONE": "TANDEM   TAPE                          1\n",
    }
    typist = logged_on(filters=filter_tables(tables))
    distributor(typist, "FILTER vtsf")
    typist.session.press_break()
    distributor(typist, "FILTER (VTSF, NONE)", name="$TWO")
    typist.system.post("passes")
    typist.system.post("does not", number=7)
    typist.system.request_mount("A00017")
    assert texts(typist.text()) == ["passes"]


def test_the_first_line_of_a_table_that_fits_decides():
    passes = filter_table(
        "USER     BATCH     7                   0\n\nUSER     BATCH                         1\n"
    )
    at = system()
    assert not passes(at.post("x", number=7))
    assert passes(at.post("x", number=8))
    assert not passes(at.post("x", ssid="USER.OTHER.A01"))


WHOLE = "TYPE P, COLLECTOR $0, TEXTOUT $HOME"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/NAME $A/", SYNTAX.split("\n")[0]),
        ("/NAME $A/ NONSENSE x", SYNTAX.split("\n")[0]),
        ("/NAME $A/ TYPE P, TYPE P", SYNTAX.split("\n")[0]),
        (f"/NAME $A/ {WHOLE}, TIME soon", SYNTAX.split("\n")[0]),
        (f"/NAME $A/ {WHOLE}, TIME 2026-13-22", SYNTAX.split("\n")[0]),
        (f"/NAME $A/ {WHOLE}, WAIT soon", SYNTAX.split("\n")[0]),
        (f"/NAME $A/ {WHOLE}, GMT MAYBE", SYNTAX.split("\n")[0]),
        ("/NAME $A/ TYPE P, COLLECTOR $0", SYNTAX.split("\n")[0]),
        ("/NAME $A/ TYPE P, TEXTOUT $HOME", SYNTAX.split("\n")[0]),
        ("/NAME $A/ COLLECTOR $0, TEXTOUT $HOME", NO_TYPE),
        ("/NAME $A/ TYPE X, COLLECTOR $0, TEXTOUT $HOME", NO_TYPE),
        ("/NAME $A/ TYPE C, COLLECTOR $0, TEXTOUT $HOME", "EMSDIST / NAME"),
        ("/NAME $A/ TYPE P, COLLECTOR $0", "EMSDIST / NAME"),
        ("/NAME $A/ TYPE F, COLLECTOR $0", "Forwarding distributors are not simulated"),
        (f"/NAME $A/ {WHOLE}, TARGET $1", "TARGET and TEXTOUT can not coexist"),
        (f"/NAME $A/ {WHOLE}, STOP 23:00, TIME 22:00", "TIME may not follow STOP"),
        (f"/NAME $A/ {WHOLE}, TIME 23:00, STOP 22:00", "STOP must be later"),
        (f"/NAME $A/ {WHOLE}, TIME 2026-11-22{' ' * 70}02:14", "Too many blank spaces"),
        (f"/NAME $A/ {WHOLE}, FILTER (a,b,c,d,e,f,g,h,i,j,k)", "Too many filter files"),
        ("/NAME $A/ TYPE P, COLLECTOR $0, TEXTOUT (a,b,c,d,e,f,g,h,i,j,k)", "Too many textout"),
        ("/NAME $A/ TYPE P, COLLECTOR (a,b,c,d,e,f,g,h,i,j,k), TEXTOUT a", "Too many source"),
        (f"/NAME $A/ {WHOLE}, FILTER NOFILE", "Can't open filter file NOFILE"),
        ("/NAME $A/ TYPE P, COLLECTOR $ZLOG, TEXTOUT $HOME", "Can't open source collector $ZLOG"),
        (f"/CPU 1/ {WHOLE}", "The distributor needs a NAME"),
        (WHOLE, "The distributor needs a NAME"),
    ],
)
def test_a_distributor_that_does_not_start_says_why_and_a_prompt_comes(line, told):
    typist = logged_on()
    shown = typist.type(f"EMSDIST {line}")
    assert shown.startswith(told)
    assert typist.prompt == "2> "
    assert not typist.system.processes


def test_reading_the_log_may_need_rights():
    low = Account(user="LOW.USER", reads_events=False)
    typist = logged_on()
    typist.session.console.account = low
    assert distributor(typist).startswith("Can't open the log file")


def test_a_logfile_is_read_from_its_beginning():
    typist = logged_on()
    typist.system.post("old")
    shown = typist.type("EMSDIST /NAME $A/ TYPE P, LOGFILE $SYSTEM.SYSTEM.ZZEV0001, TEXTOUT $HOME")
    assert texts(shown) == ["old"]


words = st.text("abXY09/='\"[]~é", min_size=1, max_size=50)


@given(st.lists(words, max_size=20))
def test_whatever_is_posted_is_read_back(more):
    typist = logged_on()
    distributor(typist)
    before, text = len(typist.data), " ".join(["VTSPolicy", *more])
    typist.system.post(text)
    assert texts(typist.text(before)) == [text]


# FUP


def test_fup_writes_plain_texts_that_are_cut_at_102_bytes():
    typist = logged_on()
    assert typist.type(f"FUP COPY {typist.window}, $0") == ""
    assert typist.type("x" * 102 + "y", "short [#OUTPUT x]") == "\n"
    typist.session.feed(b"\x19")
    assert typist.text().endswith("2 RECORDS TRANSFERRED\n2> ")
    assert [(each.ssid, each.number, each.text) for each in typist.system.events] == [
        ("TANDEM.EMS.L01", 512, "x" * 102),
        ("TANDEM.EMS.L01", 512, "short [#OUTPUT x]"),
    ]
    assert list(typist.system.commands) == [f"FUP COPY {typist.window}, $0"]


def test_fup_asks_for_commands_until_exit():
    typist = logged_on()
    assert typist.type("FUP") == "-"
    typist.type("COPY , \\NSK1.$0", "text")
    typist.session.feed(b"\x19")
    assert typist.type("INFO *").startswith("INFO *\n^\n")
    assert typist.type("EXIT") == "2> "
    assert [each.text for each in typist.system.events] == ["text"]


# MEDIACOM


def test_the_brief_list_has_a_row_of_dashes_that_shows_the_columns():
    at = system()
    at.request_mount("A00017")
    at.request_mount("*ZSSI", label="ANSI", device=r"\NSK2", write_protected=True)
    lines = logged_on(at).type("MEDIACOM STATUS TAPEMOUNT").split("\n")[:-1]
    assert lines[0].split() == ["Tape", "Tape", "Label", "Write"]
    assert lines[1].split()[:4] == ["Mount", "Name", "Type", "Node"]
    columns = [len(dashes) for dashes in lines[2].split()]
    cells = []
    for line in lines[3:]:
        at_, row = 0, []
        for width in columns:
            row.append(line[at_ : at_ + width].strip())
            at_ += width + 1
        cells.append(row)
    assert cells == [
        ["1", "A00017", "TMF", "$TAPE0", "NO", "MOUNT REQUESTED TAPE"],
        ["2", "*ZSSI", "ANSI", r"\NSK2", "YES", "MOUNT REQUESTED TAPE"],
    ]


def test_the_detailed_list_has_the_items_that_are_there():
    at = system()
    at.request_mount("A00017", details={"Comment": "month end", "Process Name": "$BKUP"})
    shown = logged_on(at).type(r"MEDIACOM STATUS TAPEMOUNT \NSK1.1, DETAIL")
    items = [line.split("  ")[0] for line in shown.strip().split("\n")[:-1]]
    assert items == [
        *("Tape Mount", "Tape Name", "Action", "Write Protected", "Label Type", "Tape Drive"),
        *("Comment", "Process Name"),
    ]


def test_what_is_shown_when_nothing_is_pending_is_a_setting():
    assert len(logged_on().type("MEDIACOM STATUS TAPEMOUNT").split("\n")) == 4
    shown = logged_on(nothing_pending="No mounts").type("MEDIACOM STATUS TAPEMOUNT")
    assert "\nNo mounts\n" in shown


def test_a_mount_can_be_accepted_and_rejected():
    at = system()
    at.request_mount("A00017")
    at.request_mount("A00018")
    typist = logged_on(at)
    assert typist.type("MEDIACOM") == "MC> "
    assert typist.type("ACCEPT TAPEMOUNT 1", "REJECT TAPEMOUNT 2") == "MC> \nMC> "
    assert "There is no tape mount request 2" in typist.type("REJECT TAPEMOUNT 2")
    assert "Expecting" in typist.type("STATUS TAPEDRIVE")
    assert "Expecting DETAIL" in typist.type("STATUS TAPEMOUNT, MORE")
    assert typist.type("EXIT") == "2> "
    assert [each.number for each in at.events] == [609, 609, 648, 651]
    assert not at.mounts


def test_the_events_of_mounts_are_read_as_such():
    typist = logged_on()
    distributor(typist)
    before = len(typist.data)
    for label, protected in (("TMF", False), ("IBM", True), ("ANSI", False)):
        typist.system.request_mount("A00017", label=label, write_protected=protected)
    typist.system.mounted(1)
    typist.system.cancelled(2)
    typist.system.rejected(3)
    events = read(typist.text(before))
    assert [event.number for event in events] == [609, 604, 600, 648, 649, 651]
    found = [read_mount(event) for event in events]
    kinds = ["request", "request", "request", "mounted", "cancelled", "rejected"]
    assert [each.kind for each in found] == kinds
    assert [each.ring for each in found[:3]] == [True, False, True]
    assert [each.label for each in found[:3]] == ["TMF", "IBM", "plain"]
    assert [each.sequence for each in found] == ["0001", "0002", "0003", "0001", "0002", "0003"]


def test_a_request_may_be_told_by_no_event():
    at = system()
    at.request_mount("A00017", silent=True)
    assert not at.events
    assert [each.tape for each in at.mounts.values()] == ["A00017"]


# The journal


def test_what_one_process_adds_to_a_file_another_sees(tmp_path):
    one = system(FileJournal(tmp_path / "journal"), freeze_after=2)
    two = system(FileJournal(tmp_path / "journal"), freeze_after=2)
    one.post("é \udcff", critical=True)
    one.request_mount("A00017", details={"Comment": "x"})
    one.log_on("VTS.EMS", "wrong")
    two.refresh()
    assert list(two.events) == list(one.events)
    assert two.mounts == one.mounts
    two.mounted(1)
    two.log_on("VTS.EMS", "wrong")
    one.refresh()
    assert not one.mounts
    assert one.accounts.is_frozen("VTS.EMS")
    late = System(one.settings, FileJournal(tmp_path / "journal"))
    assert list(late.events) == list(two.events)


def test_half_a_line_of_a_journal_is_read_when_it_is_whole(tmp_path):
    journal = FileJournal(tmp_path / "journal")
    one = system(FileJournal(tmp_path / "journal"))
    one.post("first")
    line = (tmp_path / "journal").read_bytes()
    with (tmp_path / "journal").open("ab") as file:
        file.write(line[:20])
    assert len(journal.new()) == 1
    with (tmp_path / "journal").open("ab") as file:
        file.write(line[20:])
    assert len(journal.new()) == 1
    assert journal.new() == []


def test_times_have_their_zone():
    assert Times()().tzinfo is UTC
