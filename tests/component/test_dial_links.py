"""Links to a simulated host, with a whole server behind them: what is read, answered, resumed."""

from datetime import timedelta

import pytest
from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from tests.harness import engine_worlds
from tests.harness.dialled_hosts import Site
from vtspolicy.links.life import Cause, LinkState
from vtspolicy.notices import Notice, Word
from vtspolicy.testing.nonstop.dialogue import Ask
from vtspolicy.testing.nonstop.filters import filter_tables
from vtspolicy.testing.nonstop.system import VTS

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAY/P0000{} ref=r{}'"


@pytest.fixture(scope="module")
def files():
    site = engine_worlds.Site()
    yield site
    site.remove()


@pytest.fixture
def world(files):
    made = engine_worlds.World(files)
    yield made
    made.close()
    assert not made.violations


@pytest.fixture
def site(world, tmp_path):
    return lambda **settings: Site(world, tmp_path, **settings)


KINDS = pytest.mark.parametrize("protocol", ["telnet", "lines", "ssh"])


@KINDS
def test_a_command_of_the_host_is_carried_out_and_answered_there(site, protocol):
    here = site(protocol=protocol)
    assert here.state is LinkState.READING
    here.post(ARCHIVE.format(0, 0))
    here.run(5)
    assert here.words == ["ACCEPTED"]
    assert "ref=r0" in here.notices[0]
    assert not here.pending()
    here.finish()
    here.run(10)
    assert here.words == ["ACCEPTED", "COMPLETED"]
    assert not here.pending()


def test_the_distributor_has_the_name_and_filters_of_the_settings(site):
    tables = filter_tables({"PASSES": "USER" + " " * 35 + "1"})
    here = site(filters=("PASSES",), process="$VTSD", host_filters=tables)
    started = [each for each in here.system.commands if each.startswith("EMSDIST")]
    assert started == [
        f"EMSDIST / NAME $VTSD / TYPE PRINTING, COLLECTOR $0, TEXTOUT {here.window}, FILTER PASSES"
    ]
    assert here.state is LinkState.READING


def test_behind_a_filter_the_prompt_shows_that_a_notice_has_arrived(site):
    tables = filter_tables({"PASSES": "USER" + " " * 35 + "1"})
    here = site(filters=("PASSES",), host_filters=tables)
    here.post(ARCHIVE.format(0, 0))
    here.run(5)
    assert here.words == ["ACCEPTED"]
    assert not here.pending()
    here.run(200)
    assert here.words == ["ACCEPTED"]


def test_a_notice_that_the_display_does_not_show_is_posted_again_more_and_more_rarely(site):
    here = site(routines={"VTSQUIET": posts_nothing}, reply="VTSQUIET")
    here.post(ARCHIVE.format(0, 0))
    here.run(30)
    assert here.pending()
    runs = [here.ran("VTSQUIET")]
    for minutes in (2, 10, 60):
        here.run(minutes * 60, step=5)
        runs.append(here.ran("VTSQUIET"))
    assert runs[0] == 1
    assert runs[0] < runs[1] < runs[2] < runs[3] < 14
    assert here.pending()


def test_answers_of_the_same_words_arrive_each_for_itself(site):
    here = site()
    session = here.link.session.session
    for number in (900, 901, 902):
        fields = {"reason": "the same words"}
        session.tell(Notice(word=Word.STATUS, host="NSK1", fields=fields, id=number))
    here.run(10)
    assert here.words == ["STATUS"] * 3
    assert not session.take_back()
    assert not here.link.answers.waits_for_sight


def posts_nothing(tacl, _rest):
    """A routine that reads lines, and posts none."""
    while (yield Ask("VTSREPLY> ")):
        pass
    return ""


def test_answers_are_posted_by_a_command_of_the_site(site):
    here = site(reply="#OUTPUT {number} {text}")
    here.post("VTSPolicy DSK 'archive /VAULT01/PAY/[#OUTPUT/x ref=r~;PURGE'")
    here.run(5)
    (typed,) = [each for each in here.system.commands if each.startswith("#OUTPUT 1")]
    assert typed.startswith("#OUTPUT 1101 VTSPolicy REJECTED req=1")
    assert not any(each.startswith("PURGE") for each in here.system.commands)


def test_a_distributor_that_does_not_start_is_told_and_tried_again(site):
    here = site(distributor="EMSDIST{time}")
    here.run(10)
    assert here.states.count(LinkState.STARTING) >= 2
    assert here.link.link.cause is Cause.NO_DISPLAY
    assert "did not start: Use C[ONSUMER], F[ORW" in here.link.link.error


def test_a_display_begins_again_before_the_last_event(site):
    here = site(overlap=90.0)
    here.post(ARCHIVE.format(0, 0), "something else")
    last = here.system.events[-1].time
    here.run(5)
    here.cut()
    here.run(10)
    (_, again) = [each for each in here.system.commands if each.startswith("EMSDIST")]
    assert again.endswith(f", TIME {last - timedelta(seconds=90):%Y-%m-%d %H:%M:%S}")


# A lost link


def test_what_is_shown_again_is_not_answered_again(site):
    here = site()
    here.post(ARCHIVE.format(0, 0), "VTSPolicy NOSUCH 'x'")
    here.run(5)
    assert here.words == ["ACCEPTED", "REJECTED"]
    here.cut()
    here.run(30)
    assert here.state is LinkState.READING
    assert here.words == ["ACCEPTED", "REJECTED"]
    assert len(here.requests()) == 2


def test_what_came_while_the_link_was_down_is_carried_out_and_answered(site):
    here = site()
    here.post("first")
    here.network.is_down = True
    here.cut()
    here.run(400, step=5)
    here.post(ARCHIVE.format(1, 1))
    here.run(200, step=5)
    here.network.is_down = False
    here.run(400, step=1)
    assert here.state is LinkState.READING
    assert here.words == ["ACCEPTED"]
    assert len(here.requests()) == 1


def test_a_link_that_is_lost_before_its_first_event_misses_none(site):
    here = site()
    assert here.state is LinkState.READING
    here.run(100, step=5)
    here.cut()
    here.post(ARCHIVE.format(1, 1))
    here.run(30)
    assert here.words == ["ACCEPTED"]


def test_an_event_that_is_open_as_the_link_is_lost_comes_whole(site):
    here = site()
    here.system.links[0].half_line()
    here.post(f"{ARCHIVE.format(1, 1)[:-1]} o=/{'x' * 50} r=14,d'")
    here.cut()
    here.run(30)
    (request,) = here.requests()
    assert request.state.value != "rejected", request


def test_an_event_that_is_complete_but_for_its_time_is_not_lost_with_the_link(site):
    here = site()
    here.system.post(ARCHIVE.format(1, 1))
    here.network.settle()
    here.cut()
    here.run(30)
    assert len(here.requests()) == 1


def test_a_notice_that_was_posted_as_the_link_was_lost_is_looked_for_before_it_is_posted_again(
    site,
):
    here = site()
    here.system.links[0].half_line()  # the notice itself, in the display
    here.post(ARCHIVE.format(0, 0))
    here.run(0.5)
    here.cut()
    here.run(60)
    assert here.words.count("ACCEPTED") <= 2
    assert not here.pending()


def test_a_server_that_starts_again_goes_on_where_the_last_one_was(site):
    here = site()
    here.post(ARCHIVE.format(0, 0))
    here.run(30)
    here.dialer.close()
    here.run(100, step=5)
    here.post(ARCHIVE.format(1, 1))
    here.call()
    here.run(10)
    assert here.words == ["ACCEPTED", "ACCEPTED"]
    assert len(here.requests()) == 2


def test_what_could_not_be_recorded_comes_again(site, monkeypatch):
    here = site()
    here.post("first")
    here.run(5)
    receive = type(here.world.engine).receive
    failed = []

    def fails(engine, session, items):
        if not failed:
            failed.append(items)
            return engine_worlds.execute(_raise)
        return receive(engine, session, items)

    monkeypatch.setattr(type(here.world.engine), "receive", fails)
    here.post(ARCHIVE.format(1, 1))
    here.run(30)
    assert failed
    assert len(here.requests()) == 1
    assert here.words == ["ACCEPTED"]


def _raise():
    raise engine_worlds.Wanted("this write")


# Passwords


def test_a_wrong_password_is_tried_twice_five_minutes_apart_and_no_more(site):
    here = site(password="not-this-one")
    assert here.state is LinkState.WAITING
    assert here.failures == 1
    here.run(290, step=5)
    assert here.failures == 1
    here.run(600, step=5)
    assert here.state is LinkState.STOPPED
    here.run(100_000, step=1000)
    assert here.failures == 2
    assert "did not accept VTS.EMS" in here.link.link.error
    here.dialer.restart("NSK1")
    here.run(1000, step=5)
    assert here.failures == 3
    (here.folder / "password").write_text(VTS.password)
    here.dialer.restart("NSK1")
    here.run(10)
    assert here.state is LinkState.READING


def test_both_sessions_share_the_refusals_of_a_password(site):
    here = site()
    here.network.system.accounts._accounts = (evolve(VTS, password="a-new-one"),)
    here.post(ARCHIVE.format(0, 0))
    here.run(2000, step=5)
    assert here.failures == 2
    assert here.state is LinkState.READING
    here.cut()
    here.run(2000, step=5)
    assert here.failures <= 3
    assert here.state is LinkState.STOPPED


# The check from end to end


def test_a_heartbeat_goes_through_the_host_and_two_missing_ones_end_the_link(site):
    here = site()
    here.link.serve(evolve(here.link.host, keepalive=30.0))
    here.run(100)
    assert set(here.words) == {"HEARTBEAT"}
    assert here.state is LinkState.READING
    assert len(here.words) >= 2
    for link in here.system.links:
        link.hang()
    here.run(200)
    assert here.link.link.cause is Cause.SILENT
    assert here.states.count(LinkState.READING) == 2


def test_a_display_that_is_not_read_for_want_of_room_is_not_silent(site, monkeypatch):
    here = site()
    here.link.serve(evolve(here.link.host, keepalive=30.0))
    here.post(ARCHIVE.format(0, 0))
    here.run(2)
    waiting = Deferred()
    monkeypatch.setattr(type(here.world.engine), "receive", lambda *_: waiting)
    here.post(ARCHIVE.format(1, 1))
    shown = len(here.words)
    here.run(1000, step=1)
    assert here.states.count(LinkState.READING) == 1
    assert len(here.words) == shown
    waiting.callback(None)
    here.run(100)
    assert here.states.count(LinkState.READING) == 1
    assert "HEARTBEAT" in here.words


def test_silence_alone_means_nothing(site):
    here = site()
    here.run(10_000, step=50)
    assert here.states.count(LinkState.READING) == 1
    assert here.state is LinkState.READING


# Reload, restart


def test_a_reload_changes_only_links_whose_settings_changed(site):
    here = site()
    up = here.link
    here.dialer.renew(here.configuration)
    assert here.link is up
    here.hosts["NSK1"] = evolve(here.hosts["NSK1"], families=())
    here.dialer.renew(here.configuration)
    here.sessions.renew()
    assert here.link is up
    assert up.session.session.hosts == (here.hosts["NSK1"],)
    assert up.link.state is LinkState.READING
    here.dialer.renew(evolve(here.configuration, dial=(evolve(here.dials[0], overlap=5.0),)))
    here.run(5)
    assert here.link is not up
    assert up.link.state is LinkState.STOPPED
    assert here.link.link.state is LinkState.READING
    here.dialer.renew(evolve(here.configuration, dial=()))
    here.run(5)
    assert not here.dialer.links
    assert not here.system.links


def test_an_operator_restarts_a_link(site):
    here = site()
    assert here.dialer.restart("NSK1")
    here.run(5)
    assert here.states.count(LinkState.READING) == 2
    assert not here.dialer.restart("NSK9")


# What is not to be believed


def test_a_text_that_looks_like_a_header_of_tomorrow_does_not_hide_events(site):
    here = site()
    here.post("first", "x\n68-01-01 00:00:00 \\NSK1.$A USER.B.A01 1 x")
    here.run(2)
    here.cut()
    here.post(ARCHIVE.format(1, 1))
    here.run(30)
    assert len(here.requests()) == 1


def test_the_password_is_in_nothing_that_is_kept_or_told(site):
    here = site(password="not-this-one")
    lines = []
    globalLogPublisher.addObserver(lines.append)
    try:
        here.run(1000, step=5)
        (here.folder / "password").write_text(VTS.password)
        here.dialer.restart("NSK1")
        here.run(10)
        here.post(ARCHIVE.format(0, 0))
        here.run(10)
    finally:
        globalLogPublisher.removeObserver(lines.append)
    assert here.words == ["ACCEPTED"]
    told = [repr(lines), repr(here.link), repr(here.dialer), repr(here.system.commands)]
    told += [each.read_text() for each in (here.folder / "links").iterdir()]
    told += map(repr, [here.world.metrics.render(), *here.requests(), *here.notices])
    for secret in ("not-this-one", VTS.password):
        assert not any(secret in each for each in told)


# Two servers


def test_two_servers_call_one_host_and_each_does_and_answers_its_own(world, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_worlds, "TestClock", lambda: world.clock)
    files = engine_worlds.Site()
    files.configuration = evolve(files.configuration, node="vts2.example.com")
    files.reader = evolve(files.reader, configuration=files.configuration)
    other = engine_worlds.World(files)
    try:
        folders = [tmp_path / "1", tmp_path / "2"]
        for each in folders:
            each.mkdir()
        first = Site(world, folders[0])
        second = Site(other, folders[1], network=first.network)
        assert (first.state, second.state) == (LinkState.READING, LinkState.READING)
        for node in ("vts1", "vts2"):
            first.post(f"VTSPolicy DSK 'archive /VAULT01/PAY/P00000 ref={node} s={node}'")
            first.run(5)
        first.cut()
        first.run(60)
        for here, node in ((first, "vts1"), (second, "vts2")):
            assert [each.ref for each in here.requests()] == [node]
            assert not here.pending()
        assert len(first.notices) == 2
        assert {" ref=vts1 " in text: "node=vts1" in text for text in first.notices} == {
            True: True,
            False: False,
        }
    finally:
        other.close()
        files.remove()
    assert not other.violations
