"""Login dialogues: they get into the simulated host, and type a password only where asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.simulated_terminals import Typist, logged_on, system
from vtspolicy.links.login import (
    DIALOGUES,
    SHOWN,
    TAIL,
    DialogueError,
    LoggedOn,
    Login,
    LoginDialogue,
    NoPrompt,
    Refused,
    Send,
    Step,
)
from vtspolicy.testing.nonstop.logins import LOGINS
from vtspolicy.testing.nonstop.system import VTS

SECRET = "not-for-anyone"
ECHOES = pytest.mark.parametrize("echo", [True, False])


def play(name, *, password=VTS.password, at=None, pieces=0, **settings):
    """Log on to the simulated host; return the last answer, and all lines that were typed."""
    if at is None:
        login = LOGINS.get(name, LOGINS["tacl"])
        at = system(login=login, **settings)
    typist = logged_on(at) if name == "ssh-tacl" else Typist(at)
    login, typed = Login(DIALOGUES[name], user="VTS.EMS", password=password), []
    taken = 0
    while taken < len(typist.data):
        piece = typist.data[taken : taken + pieces] if pieces else typist.data[taken:]
        taken += len(piece)
        answer = login.take(piece.decode())
        if isinstance(answer, Send):
            typed.append(answer.text)
            typist.session.feed(answer.text.encode() + b"\r\n")
        elif answer is not None:
            return answer, typed
    return login.timed_out(), typed


@ECHOES
@pytest.mark.parametrize("name", DIALOGUES)
def test_every_dialogue_gets_into_the_simulated_host(name, echo):
    answer, typed = play(name, echo=echo)
    assert answer == LoggedOn()
    assert typed.count(VTS.password) == (name != "ssh-tacl")


@pytest.mark.parametrize("name", LOGINS)
def test_a_host_without_a_menu_is_understood_too(name):
    assert play(name, services=())[0] == LoggedOn()


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_prompts_come_in_pieces(pieces):
    assert play("tacl", pieces=pieces)[0] == LoggedOn()


@pytest.mark.parametrize("prompt", ["TACL {n}> ", "$SYSTEM NOSUBVOL {n}>", "{n}>"])
def test_prompts_of_sites_are_understood(prompt):
    assert play("tacl", prompt=prompt)[0] == LoggedOn()


@ECHOES
@pytest.mark.parametrize("name", LOGINS)
def test_a_wrong_password_is_refused_after_one_try_and_is_not_told(name, echo):
    answer, typed = play(name, password=SECRET, echo=echo)
    assert isinstance(answer, Refused)
    assert "Invalid username or password" in answer.error
    assert SECRET not in answer.error
    assert typed.count(SECRET) == 1


def test_a_frozen_account_is_refused():
    at = system(login=LOGINS["xygate"], freeze_after=1)
    at.log_on("VTS.EMS", "wrong")
    answer, _ = play("xygate", at=at)
    assert isinstance(answer, Refused)
    assert "frozen" in answer.error


def test_the_wrong_dialogue_says_what_came_instead():
    answer, typed = play("safeguard", at=system(services=()))
    assert isinstance(answer, NoPrompt)
    wanted = r"expected Enter Choice> ? or SAFEGUARD \d+> ? within 5 s; came: WELCOME TO NSK1"
    assert answer.error.startswith(wanted)
    assert answer.error.endswith("TACL 1>")
    assert VTS.password not in typed


def login(name="tacl", password=SECRET):
    return Login(DIALOGUES[name], user="VTS.EMS", password=password)


def test_a_silent_host_is_told_as_such():
    assert "nothing came" in login().timed_out().error


def test_a_megabyte_without_a_line_end_is_kept_within_bounds():
    following = login()
    for _ in range(16):
        assert following.take("x" * 65_536) is None
    error = following.timed_out().error
    assert len(error) < SHOWN + 100
    assert len(following._shown) == TAIL
    assert following.take("\r\nTACL 1> ") == Send("LOGON VTS.EMS")


def test_a_host_that_echoes_the_password_does_not_get_it_into_an_error():
    following = login()
    following.take("TACL 1> ")
    following.take("Password: ")
    following.take(f"{SECRET}\r\n\x1b[2J*** WAIT ***")
    error = following.timed_out().error
    assert SECRET not in error
    assert "\x1b" not in error
    assert "WAIT" in error


def test_the_banner_of_another_machine_is_shown():
    following = login()
    following.take("Debian GNU/Linux 12\r\nnsk1 login: ")
    assert "Debian GNU/Linux 12 / nsk1 login:" in following.timed_out().error


def test_a_send_does_not_show_the_password_where_it_is_printed():
    assert SECRET not in repr(Send(SECRET))


@given(st.text(st.characters(codec="ascii"), max_size=300))
def test_the_password_is_sent_only_where_one_is_asked_for(text):
    following = login()
    for piece in (text, "\r\nTACL 1> ", text):
        answer = following.take(piece)
        if isinstance(answer, Send) and SECRET in answer.text:
            assert piece.rstrip().endswith(("assword:", "assword: "))


@given(st.text("{}userpaword", max_size=40).filter(str.isprintable))
def test_a_password_is_typed_as_it_is(password):
    following = login(password=password)
    following.take("TACL 1> ")
    assert following.take("Password: ") == Send(password)


def wrong(*steps, refused="no"):
    return LoginDialogue(name="own", steps=steps, refused=refused).problems()


END = Step(expect=r"> ")


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((Step(expect="x*", send="y"), END), "matches nothing"),
        ((Step(expect="(", send="y"), END), "not a regular expression"),
        ((Step(expect="> ", send="{password}"), END), "only where expect names a password"),
        ((Step(expect="> ", send="{pass}"), END), "there is no {pass}"),
        ((Step(expect="> ", send="x"),), "the last step"),
        ((END, END), "the last step"),
        ((Step(expect="> ", optional=True),), "the last step"),
    ],
)
def test_a_dialogue_of_a_site_is_checked(steps, told):
    assert any(told in problem for problem in wrong(*steps))


def test_a_wrong_pattern_of_refusals_is_named():
    assert any("refused" in problem for problem in wrong(END, refused="("))


@pytest.mark.parametrize("name", DIALOGUES)
def test_the_shipped_dialogues_have_no_problems(name):
    assert DIALOGUES[name].problems() == []


@pytest.mark.parametrize(("user", "password"), [("A.B\r\nPURGE", "x"), ("A.B", "x\ny")])
def test_what_would_be_two_lines_is_not_typed(user, password):
    with pytest.raises(DialogueError, match="cannot be typed"):
        Login(DIALOGUES["tacl"], user=user, password=password)
