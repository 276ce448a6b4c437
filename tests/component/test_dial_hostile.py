"""What applications and other hosts write never acts at a TACL prompt of a host, whatever it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harness.dialled_hosts import Network, a_dial, conversation
from tests.harness.simulated_terminals import system
from vtspolicy.hosts.dial.answers import Answers
from vtspolicy.links.tacl_text import LINE_LIMIT
from vtspolicy.log_limit import LogLimit
from vtspolicy.notices import Notice, Word
from vtspolicy.testing.nonstop.dialogue import Ask

ACTING = (
    "[#OUTPUT OWNED] ~; PURGE == { } | & ? ! ; ~ \" ' / = [[ ]] \n \r \x03 \x19 \x00 é € VTSREPLY>"
)
pieces = st.lists(st.sampled_from(ACTING.split(" ")) | st.text(max_size=8)).map("".join)
hostile = (pieces | st.text("[]{}|~=&;?!/\"' ab>\n", max_size=60)).map(
    lambda text: (text * 9)[:300]
)
REPLIES = ["VTSREPLY", "#OUTPUT {number} {text}", "POSTS {number} <{text}>"]


class Free:
    """An account that may log on at any time."""

    def logon_due(self):
        return 0.0

    def refused(self, error):
        raise AssertionError(error)

    def let_in(self, conversation):
        pass


def posts(tacl, rest):
    """A command of the site."""
    yield from ()
    number, _, text = rest.partition(" ")
    tacl.console.system.post(text.strip("<>"), number=int(number), process="$VTSR")
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("links")


@pytest.mark.parametrize("reply", REPLIES)
@pytest.mark.parametrize("echo", [True, False])
@given(
    reasons=st.lists(hostile, min_size=1, max_size=4), informat=st.sampled_from(["TACL", "PLAIN"])
)
def test_nothing_that_is_posted_acts(folder, reply, echo, reasons, informat):
    network = Network(at=system(echo=echo, informat=informat, routines={"POSTS": posts}))
    dial = a_dial(folder, protocol="lines", reply=reply)
    answers = Answers(
        clock=network.clock,
        dial=dial,
        node="vts1",
        account=Free(),
        converse=lambda: conversation(network, dial),
        limit=LogLimit(network.clock),
    )
    answers.open()
    for number, reason in enumerate(reasons, 1):
        fields = {"req": number, "ref": f"r{number}", "family": "DSK", "reason": reason}
        answers.put(Notice(word=Word.FAILED, host="NSK1", fields=fields, id=number))
    network.run(4)
    answers.close()
    known = {"#SET", "TIME", "VTSREPLY", "#OUTPUT", "POSTS", "LOGOUT"}
    commands = [each.split(" ") for each in network.system.commands]
    assert {each[0] for each in commands} <= known
    typed = [each for each in commands if each[0] == reply.split(" ")[0]]
    assert len(typed) == (1 if reply == "VTSREPLY" else len(reasons))
    if not reply.startswith("#OUTPUT"):
        assert len(network.system.events) == len(reasons)
        for number, event in enumerate(network.system.events, 1):
            assert event.number == Word.FAILED.number
            assert event.text.startswith(f"VTSPolicy FAILED req={number} ref=r{number} ")
            assert len(event.text.encode()) <= LINE_LIMIT


def test_a_routine_that_ends_early_is_not_typed_to(folder):
    """What would have been its next line is not read by TACL."""

    def ends_early(tacl, _rest):
        yield Ask("VTSREPLY> ")
        return ""

    network = Network(at=system(routines={"ENDS": ends_early}))
    dial = a_dial(folder, protocol="lines", reply="ENDS")
    answers = Answers(
        clock=network.clock,
        dial=dial,
        node="vts1",
        account=Free(),
        converse=lambda: conversation(network, dial),
        limit=LogLimit(network.clock),
    )
    answers.open()
    for number in range(1, 4):
        answers.put(Notice(word=Word.FAILED, host="NSK1", fields={"req": number}, id=number))
    network.run(30)
    answers.close()
    assert {each.split(" ")[0] for each in network.system.commands} <= {"#SET", "TIME", "ENDS"}
