"""The log for people: text from a host or a disk is in one entry, and is only shown."""

import io
import json

from twisted.logger import Logger, LogLevel, eventAsText, formatTime

from vtspolicy.cli.log_output import is_journal, observer


def written(reason, *, as_json):
    out = io.StringIO()
    log = Logger("vtspolicy.test", observer=observer(out, as_json=as_json))
    log.warn("Command denied: {reason}.", reason=reason)
    return out.getvalue()


def test_what_came_from_outside_can_neither_forge_an_entry_nor_steer_a_terminal():
    forged = "x\r2026-11-22T02:00:00+0000 info     Ready\n2026-11-22 y\x1b[2J\x9b2J\u2028z\t."
    entry = written(forged, as_json=False)
    first, second = entry.splitlines()
    assert "denied: x\\r2026" in first
    assert second == "    2026-11-22 y\\x1b[2J\\x9b2J\\u2028z\t.."
    assert entry.isascii()


def test_a_machine_gets_what_came_from_outside_as_it_was():
    forged = "x\r\ny\x1b[2J"
    (line,) = written(forged, as_json=True).splitlines()
    assert json.loads(line)["reason"] == forged


def test_a_machine_s_line_holds_nothing_that_steers_a_terminal_and_any_name_of_a_disk():
    strange = "\u00fc\x9b2J\u202e\udcff"
    line = written(strange, as_json=True)
    assert json.loads(line)["reason"] == strange
    assert line.rstrip("\n").isprintable()
    assert "\u00fc" in written("\u00fc", as_json=True)


def test_lines_are_what_twisted_would_write():
    events = (
        ("Job {job} of request {request}: {state}.", {"job": 7, "request": 3, "state": "failed"}),
        ("{a!r} {b:>4} {c.real} {d[x]} {{}}", {"a": "x", "b": 1, "c": 2, "d": {"x": 1}}),
        ("called: {now()}", {"now": lambda: 5}),
        ("nothing is known of {this}", {}),
        ("several\nlines  ", {}),
    )
    for text, values in events:
        out = io.StringIO()
        event = {
            "log_time": 1795346405.9,
            "log_level": LogLevel.info,
            "log_namespace": "vtspolicy",
            "log_format": text,
            **values,
        }
        observer(out, as_json=False)(event)
        lines = eventAsText(event, includeTimestamp=False, includeSystem=False).rstrip()
        begun = f"{formatTime(event['log_time'])} info     "
        assert out.getvalue() == begun + lines.replace("\n", "\n    ") + "\n"


def test_each_line_has_its_own_second():
    out = io.StringIO()
    write = observer(out, as_json=False)
    times = (1795346405.9, 1795346406.0, 1795346406.9, 1795346400.0)
    for when in times:
        write(
            {
                "log_time": when,
                "log_level": LogLevel.info,
                "log_namespace": "vtspolicy",
                "log_format": "x",
            }
        )
    written = [line.split()[0] for line in out.getvalue().splitlines()]
    assert written == [formatTime(when) for when in times]


def test_letters_of_all_languages_stay_as_they_are():
    assert "Größe" in written("Größe", as_json=False)


def a_line(text, *, journal=False, level=LogLevel.error, **fields):
    out = io.StringIO()
    event = {
        "log_time": 1795346405.9,
        "log_level": level,
        "log_namespace": "vtspolicy.jobs",
        "log_format": text,
        **fields,
    }
    observer(out, as_json=False, journal=journal)(event)
    return out.getvalue()


def test_fields_that_the_text_does_not_have_stand_behind_it():
    line = a_line(
        "Job {job} failed: {cause}",
        action="job_ended",
        job=23,
        cause="no\nspace",
        host="NSK1",
        ref="pay roll",
        tape="/VAULT01/PAY/A00017",
        code=12,
        again=None,
    )
    assert (
        line.splitlines()[1]
        == '    space host=NSK1 ref="pay roll" tape=/VAULT01/PAY/A00017 code=12'
    )


def test_a_field_cannot_forge_another_one():
    line = a_line("Denied.", action="unheard", ref="x code=0", cause='"')
    assert line.endswith('ref="x code=0" cause="\\""\n')


def test_every_line_for_the_journal_begins_with_its_priority():
    assert a_line("It\nfailed.", journal=True) == "<3>It\n<3>    failed.\n"
    priorities = [
        a_line("x", journal=True, level=level)
        for level in (LogLevel.info, LogLevel.warn, LogLevel.critical)
    ]
    assert priorities == ["<6>x\n", "<4>x\n", "<2>x\n"]


def test_the_journal_is_written_to_where_systemd_says_so(tmp_path):
    pipe = io.StringIO()
    assert not is_journal(pipe, {})
    assert is_journal(pipe, {"JOURNAL_STREAM": "8:4711"})
    with (tmp_path / "log").open("w") as file:
        assert not is_journal(file, {"JOURNAL_STREAM": "8:4711"})


def test_letters_cannot_be_made_to_run_the_other_way():
    assert "\\u202e" in written("\u202eevil", as_json=False)
