"""What is refused is logged, but its sender does not decide how often."""

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from vtspolicy.engine.commands.denied_log import DeniedLog
from vtspolicy.log_limit import OTHERS, PEERS, PERIOD, LogLimit


@pytest.fixture
def lines():
    found = []
    globalLogPublisher.addObserver(found.append)
    yield found
    globalLogPublisher.removeObserver(found.append)


def told(lines):
    return [(line["action"], line["peer"], line.get("count")) for line in lines]


def test_refused_input_brings_a_line_and_then_one_a_minute_with_a_count(lines):
    clock = Clock()
    denied_log = DeniedLog(LogLimit(clock))

    for _ in range(500):
        denied_log.refused("10.0.0.9", "no length")
    denied_log.refused("10.0.0.8", "no length")
    clock.advance(PERIOD)
    clock.advance(PERIOD)
    denied_log.refused("10.0.0.9", "another reason")

    assert told(lines) == [
        ("refused_input", "10.0.0.9", None),
        ("refused_input", "10.0.0.8", None),
        ("refused_input_more", "10.0.0.9", 499),
        ("refused_input", "10.0.0.9", None),
    ]
    assert lines[-1]["reason"] == "another reason"


def test_a_denied_command_is_reported_beside_refused_input(lines):
    denied_log = DeniedLog(LogLimit(Clock()))

    denied_log.refused("10.0.0.9", "no length")
    denied_log.denied("10.0.0.9", "no peer of a configured host")

    assert [action for action, *_ in told(lines)] == ["refused_input", "unheard"]


def test_who_has_many_addresses_does_not_decide_either(lines):
    clock = Clock()
    denied_log = DeniedLog(LogLimit(clock))

    for number in range(10 * PEERS):
        denied_log.refused(f"2001:db8::{number:x}", "no length")
    clock.advance(PERIOD)

    assert len(lines) == PEERS + 2  # one for each of the first, one for all others, their number
    assert told(lines)[-1] == ("refused_input_more", OTHERS, 9 * PEERS - 1)
