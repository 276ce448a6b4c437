"""Links to the simulated system: Telnet's negotiation, plain lines, and links that fail."""

from types import SimpleNamespace

import pytest
from twisted.conch.telnet import AYT, BRK, DO, DONT, ECHO, IAC, IP, SB, SE, SGA, WILL, WONT

from tests.harness.nonstop_links import connect, lines, logged_on
from tests.harness.simulated_terminals import system
from vtspolicy.testing.nonstop.link import MOST_WAITING, Faults
from vtspolicy.testing.nonstop.system import VTS
from vtspolicy.testing.nonstop.telnet import TTYPE, TelnetFactory

LOGON = b"TACL\r\nLOGON VTS.EMS\r\n" + VTS.password.encode() + b"\r\n"


def telnet(**settings):
    settings.setdefault("echo", True)
    return connect(TelnetFactory, **settings)


# Telnet


def test_the_host_offers_to_echo_and_asks_for_the_type_of_the_terminal():
    there = telnet()
    offers, banner = there.transport.take().split(b"WELCOME")
    assert offers == IAC + WILL + ECHO + IAC + WILL + SGA + IAC + DO + TTYPE
    assert banner.endswith(b"\r\nEnter Choice> ")


def test_who_refuses_everything_gets_a_session_of_lines_without_echo():
    there = telnet()
    there.transport.clear()
    there.send(IAC + DONT + ECHO + IAC + DONT + SGA + IAC + WONT + TTYPE)
    assert there.transport.take() == b""
    there.send(b"TACL\r\n")
    assert there.transport.take() == b"TACL 1> "


def test_what_is_typed_is_echoed_if_the_other_side_agrees():
    there = telnet()
    there.send(IAC + DO + ECHO + IAC + DO + SGA + IAC + WONT + TTYPE)
    there.transport.clear()
    there.send(b"TACL\r\n")
    assert there.transport.take() == b"TACL\r\nTACL 1> "
    there.send(b"LOGON VTS.EMS\r\n" + VTS.password.encode() + b"\r\n")
    assert VTS.password.encode() not in there.transport.take()


def test_without_echo_the_end_of_a_blind_password_is_shown_all_the_same():
    there = telnet(echo=False)
    there.send(b"TACL\r\nLOGON VTS.EMS\r\n")
    there.transport.clear()
    there.send(VTS.password.encode() + b"\r\n")
    assert there.transport.take().startswith(b"\r\nLast Logon")


@pytest.mark.parametrize("kind", [b"TN6530-8", b"tn6530", b"653X", b"6530"])
def test_a_terminal_of_type_6530_gets_block_mode_and_no_more_lines(kind):
    there = telnet()
    there.send(IAC + WILL + TTYPE)
    assert there.transport.take().endswith(IAC + SB + TTYPE + b"\x01" + IAC + SE)
    there.send(IAC + SB + TTYPE + b"\x00" + kind + IAC + SE)
    assert there.transport.take().startswith(b"\x1b")
    there.send(LOGON)
    assert there.transport.take() == b""
    assert there.wire.is_block_mode


def test_another_type_of_terminal_changes_nothing():
    there = telnet()
    there.send(IAC + WILL + TTYPE + IAC + SB + TTYPE + b"\x00" + b"VT100" + IAC + SE)
    there.transport.clear()
    there.send(b"TACL\r\n")
    assert there.transport.take().endswith(b"TACL 1> ")


def test_other_options_are_declined():
    there = telnet()
    there.transport.clear()
    there.send(IAC + WILL + b"\x1f" + IAC + DO + b"\x00")
    assert there.transport.take() == IAC + DONT + b"\x1f" + IAC + WONT + b"\x00"


@pytest.mark.parametrize("command", [BRK, IP])
def test_two_commands_are_the_break_key(command):
    there = telnet(echo=False)
    there.send(LOGON + b"EMSDIST /NAME $A/ TYPE P, COLLECTOR $0, TEXTOUT $HOME\r\n")
    there.transport.clear()
    there.send(IAC + command)
    assert there.transport.take() == b"2> "


def test_who_asks_is_told_that_the_host_is_there():
    there = telnet()
    there.transport.clear()
    there.send(IAC + AYT)
    assert there.transport.take() == b"[Yes]\r\n"


def test_the_byte_255_is_text_in_both_directions():
    there = telnet(echo=False)
    there.send(LOGON)
    there.transport.clear()
    there.send(b"#OUTPUT a" + IAC + IAC + b"b\r\n")
    assert there.transport.take() == b"a" + IAC + IAC + b"b\r\n2> "


def test_a_connection_that_ends_before_it_has_negotiated_leaves_nothing_behind():
    there = telnet()
    there.wire.connectionLost(SimpleNamespace(check=lambda *_: None))
    assert there.system.links == []


# Plain lines


def test_plain_lines_are_the_same_session():
    there = lines()
    there.send(b"TACL\nLOGON VTS.EMS\n" + VTS.password.encode() + b"\n#OUTPUT a\n")
    assert there.transport.take().endswith(b"\r\n1> a\r\n2> ")


def test_exit_ends_the_connection():
    there = lines()
    there.send(b"EXIT\n")
    assert there.transport.disconnecting
    assert not there.transport.aborting


# Links that fail


def test_a_link_that_hangs_hears_and_says_nothing_until_it_goes_on():
    there = logged_on()
    there.send(b"EMSDIST /NAME $A/ TYPE P, COLLECTOR $0, TEXTOUT $HOME\n")
    there.link.hang()
    there.system.post("event")
    there.send(b"\x03")
    assert there.transport.take() == b""
    there.link.resume()
    assert there.transport.take().endswith(b"event\r\n")
    there.send(b"\x03")
    assert there.transport.take() == b"2> "


def test_a_link_that_hangs_keeps_so_much_and_is_then_cut():
    there = logged_on()
    there.link.hang()
    there.link.session.console.show("x" * (MOST_WAITING - 100))
    assert not there.transport.aborting
    there.link.session.console.show("x" * 100)
    assert there.transport.aborting


def test_a_link_that_dies_is_cut_and_frees_its_names():
    there = logged_on()
    there.send(b"EMSDIST /NAME $A/ TYPE P, COLLECTOR $0, TEXTOUT $HOME\n")
    there.link.die()
    assert there.transport.aborting
    assert not there.system.links
    assert not there.system.processes
    there.system.post("event")
    there.wire.connectionLost()
    assert there.transport.take() == b""


@pytest.mark.parametrize("count", [1, 7, 30])
def test_a_link_dies_at_any_byte(count):
    there = logged_on()
    there.link.die_after(count)
    there.send(b"#OUTPUT " + b"x" * 50 + b"\n")
    assert there.transport.take() == b"x" * count
    assert there.transport.aborting


def test_a_link_may_be_born_with_its_end():
    there = lines(faults=Faults(die_after=10))
    assert there.transport.take() == b"WELCOME TO"
    assert there.transport.aborting


def test_a_slow_link_answers_in_order():
    there = logged_on()
    there.link.slow(5)
    there.send(b"#OUTPUT a\n#OUTPUT b\n")
    seen = []
    for _ in range(5):
        there.clock.advance(4.9)
        assert there.transport.take() == b""
        there.clock.advance(0.1)
        seen.append(there.transport.take())
    assert seen == [b"a\r\n", b"2> ", b"b\r\n", b"3> ", b""]


def test_half_a_line_is_followed_by_its_other_half():
    there = logged_on()
    there.link.half_line(pause=3)
    there.send(b"#OUTPUT abcdef\n")
    assert there.transport.take() == b"abc"
    there.clock.advance(3)
    assert there.transport.take() == b"def\r\n2> "


def test_half_a_line_may_be_all_that_ever_comes():
    there = logged_on()
    there.link.half_line()
    there.send(b"#OUTPUT abcdef\n")
    there.clock.advance(10_000)
    assert there.transport.take() == b"abc"


def test_a_link_may_send_in_small_pieces():
    there = lines(faults=Faults(chunk=3))
    pieces = []
    there.transport.write = pieces.append
    there.send(b"x\n")
    assert set(map(len, pieces)) <= {1, 2, 3}
    assert b"".join(pieces).endswith(b"Enter Choice> ")


def test_the_log_goes_on_behind_a_link_that_died_in_the_middle_of_an_event():
    at = system(services=())
    first = logged_on(at=at)
    first.send(b"EMSDIST /NAME $A/ TYPE P, COLLECTOR $0, TEXTOUT $HOME\n")
    first.link.die_after(20)
    event = at.post("VTSPolicy Status - 1")
    assert len(first.transport.take()) == 20
    second = logged_on(at=at)
    moment = f"{event.time:%Y-%m-%d %H:%M:%S}".encode()
    second.send(b"EMSDIST /NAME $A/ TYPE P, COLLECTOR $0, TEXTOUT $HOME, TIME " + moment + b"\n")
    assert second.transport.take().endswith(b"VTSPolicy Status - 1\r\n")
