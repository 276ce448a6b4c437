"""The log for people: whatever came from a host or a disk stands in one entry, and only shows."""

import io
import json

from twisted.logger import Logger

from vtspolicy.cli.serve import _observer


def written(reason, *, as_json):
    out = io.StringIO()
    log = Logger("vtspolicy.test", observer=_observer(out, as_json=as_json))
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


def test_letters_of_all_languages_stay_as_they_are():
    assert "Größe" in written("Größe", as_json=False)
