"""How the simulated system asks people who they are, and what it makes of wrong answers."""

import pytest
from twisted.internet.task import Clock

from tests.harness.simulated_terminals import Typist, logged_on, system
from vtspolicy.testing.nonstop.accounts import Account
from vtspolicy.testing.nonstop.logins import INVALID, LOGINS
from vtspolicy.testing.nonstop.system import VTS

RIGHT = VTS.password
LOGON = {name: ["LOGON VTS.EMS"] for name in LOGINS} | {"tacls": ["VTS.EMS"]}
FIRST = {
    "tacl": "TACL 1> ",
    "tacls": "login: ",
    "xygate": "TACL 1> ",
    "safeguard": "SAFEGUARD 1> ",
}


def asked(name="tacl", at=None, **settings):
    """A terminal at which a user is asked for."""
    typist = Typist(at, login=LOGINS[name], **settings)
    typist.type(LOGINS[name].services[0].lower())
    return typist


def test_the_banner_and_the_menu_come_first():
    typist = Typist()
    assert typist.text() == (
        "WELCOME TO NSK1 [PORT $ZTC0 #23 WINDOW $ZTN0.#PTY0001]\n"
        "\nAvailable Services:\n\nTACL     EXIT\nEnter Choice> "
    )


def test_the_menu_asks_again_and_ends_at_exit():
    typist = Typist()
    assert typist.type("NONSENSE").endswith("Enter Choice> ")
    assert typist.type("").endswith("Enter Choice> ")
    assert typist.type("exit") == ""
    assert typist.ends == [True]
    assert typist.type("TACL") == ""  # nobody is there


def test_without_services_tacl_starts_at_once():
    assert Typist(services=()).prompt == "TACL 1> "


@pytest.mark.parametrize("name", LOGINS)
def test_every_login_ends_in_tacl(name):
    typist = asked(name)
    assert typist.prompt.endswith(FIRST[name])
    assert typist.type(*LOGON[name]) == "Password: "
    assert typist.type(RIGHT).endswith("Good Morning. Welcome to \\NSK1\n1> ")


@pytest.mark.parametrize("name", LOGINS)
def test_a_wrong_password_or_user_is_answered_alike(name):
    typist = asked(name)
    wrong = typist.type(*LOGON[name], "wrong")
    nobody = typist.type(LOGON[name][0].replace("VTS", "NOT"), "wrong")
    assert INVALID in wrong
    assert wrong.split("\n")[0] == nobody.split("\n")[0]


@pytest.mark.parametrize("user", ["vts.ems", "VTS.Ems", "vts", "100,7"])
def test_a_user_has_several_names(user):
    assert asked().type(f"LOGON {user}", RIGHT).endswith("1> ")


def test_an_alias_has_its_case():
    assert INVALID in asked().type("LOGON VTS", RIGHT)


def test_a_password_on_the_line_of_the_logon_is_refused_and_remembered():
    typist = asked()
    assert "*ERROR*" in typist.type(f"LOGON VTS.EMS,{RIGHT}")
    assert typist.system.exposed == ["VTS.EMS"]
    assert typist.prompt.endswith("TACL 2> ")


@pytest.mark.parametrize("name", ["tacl", "xygate", "safeguard"])
def test_nothing_but_a_logon_is_understood_before_one(name):
    typist = asked(name)
    assert LOGINS[name].other in typist.type("FUP INFO *")
    assert not typist.system.commands
    assert "22 NOV 2026" in typist.type("TIME")


def test_an_account_freezes_after_too_many_wrong_passwords():
    at = system(freeze_after=3, logon_pause=0)
    typist = asked(at=at)
    for _ in range(3):
        typist.type("LOGON VTS.EMS", "wrong")
        typist.clock.advance(0)
    assert at.accounts.is_frozen("VTS.EMS")
    assert INVALID in typist.type("LOGON VTS.EMS", RIGHT)
    at.thaw("VTS.EMS")
    assert typist.type("LOGON VTS.EMS", RIGHT).endswith("1> ")


def test_a_right_password_makes_the_count_begin_anew():
    at = system(freeze_after=2)
    for _ in range(3):
        typist = asked(at=at)
        typist.type("LOGON VTS.EMS", "wrong", "LOGON VTS.EMS", RIGHT)
        assert typist.prompt.endswith("1> ")
    assert at.accounts.failures("VTS.EMS") == 0


def test_xygate_says_that_an_account_is_frozen_if_the_password_is_right():
    at = system(freeze_after=1, login=LOGINS["xygate"])
    typist = asked("xygate", at)
    assert INVALID in typist.type("LOGON VTS.EMS", "wrong")
    assert "Userid frozen, access denied" in typist.type("LOGON VTS.EMS", RIGHT)
    assert INVALID in typist.type("LOGON VTS.EMS", "wrong")


def test_an_account_need_not_ever_freeze():
    at = system(freeze_after=0, logon_pause=0)
    typist = asked(at=at)
    for _ in range(20):
        typist.type("LOGON VTS.EMS", "wrong")
        typist.clock.advance(0)
    assert typist.type("LOGON VTS.EMS", RIGHT).endswith("1> ")


def test_after_three_failures_in_a_row_there_is_no_answer_for_a_minute():
    typist = asked(clock=Clock())
    for _ in range(3):
        typist.type("LOGON VTS.EMS", "wrong")
    assert typist.type("LOGON VTS.EMS") == ""
    typist.session.press_break()
    typist.clock.advance(59.9)
    assert not typist.prompt.endswith("TACL 4> ")
    typist.clock.advance(0.1)
    assert typist.prompt.endswith("TACL 4> ")


def test_a_password_is_not_echoed():
    typist = asked(echo=True)
    assert typist.type("LOGON VTS.EMS") == "LOGON VTS.EMS\nPassword: "
    assert typist.type(RIGHT).startswith("\nLast Logon")
    assert RIGHT not in typist.text()
    assert typist.type("TIME").startswith("TIME\n22 NOV")


def test_break_at_the_password_goes_back_to_the_prompt():
    typist = asked()
    typist.type("LOGON VTS.EMS")
    typist.session.press_break()
    assert typist.prompt.endswith("TACL 2> ")


@pytest.mark.parametrize("word", ["LOGOFF", "logout", "EXIT"])
def test_after_the_logoff_the_prompt_of_the_login_returns(word):
    typist = asked()
    typist.type("LOGON VTS.EMS", RIGHT)
    assert typist.type(word).endswith("TACL 1> ")
    assert typist.session.console.account is None
    assert typist.type("EXIT") == ""
    assert typist.ends == [True]


def test_a_site_may_end_the_link_at_the_logoff():
    typist = asked(after_logoff="end")
    typist.type("LOGON VTS.EMS", RIGHT, "LOGOFF")
    assert typist.ends == [True]


def test_another_user_may_log_on_from_tacl():
    oper = Account(user="OPER.NIGHT", password="other", number=(200, 1))
    typist = logged_on(accounts=(VTS, oper))
    typist.type("LOGON OPER.NIGHT")
    assert typist.type("other").endswith("2> ")
    assert typist.session.console.account == oper


def test_a_terminal_edits_its_line():
    typist = logged_on(echo=True)
    typist.session.feed(b"garbage\x18#OUTPUT ax\x08\x7f\x7f bx\x7f\r")
    assert "\nb\n" in typist.text().replace(" ", "")
    assert list(typist.system.commands) == ["#OUTPUT b"]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_every_end_of_line_is_one(end):
    typist = logged_on()
    for byte in b"#OUTPUT a" + end + b"#OUTPUT b" + end:
        typist.session.feed(bytes([byte]))
    assert typist.text().endswith("1> a\n2> b\n3> ")


def test_control_y_is_the_end_of_a_file_and_nothing_to_tacl():
    typist = logged_on()
    typist.session.feed(b"\x19")
    assert typist.text().endswith("1> \nEOF!\n1> ")


@pytest.mark.parametrize("key", [b"\x03", b"\x1c"])
def test_two_control_characters_are_the_break_key(key):
    typist = logged_on()
    typist.session.feed(b"#OUTPUT a" + key + b"#OUTPUT b\r")
    assert list(typist.system.commands) == ["#OUTPUT b"]


def test_a_lost_link_ends_the_session():
    typist = logged_on()
    typist.session.lost()
    assert typist.type("#OUTPUT a") == ""
    assert typist.ends == []
