"""What people see of links to dialled hosts, and the order to open one anew."""

import pytest
from click.testing import CliRunner

from tests.harness import engine_worlds
from tests.harness.dialled_hosts import Site
from vtspolicy.cli.control import restart_link
from vtspolicy.control import VERBS, UnknownThing
from vtspolicy.engine.assembly import assemble_operator
from vtspolicy.links.life import LinkState


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


def operator(here):
    return assemble_operator(
        here.world.engine,
        sessions=here.sessions,
        reread=lambda: here.world.site.reader,
        dialer=here.dialer,
    )


def status(here):
    told = []
    asked = operator(here).status()
    asked.addCallback(told.append)
    here.run()
    return told[0]


def test_the_status_shows_each_link(world, tmp_path):
    here = Site(world, tmp_path)
    first, second = status(here)["hosts"]
    assert first["link"]["state"] == "reading"
    assert first["link"]["endpoint"] == "telnet:nsk1"
    assert first["link"]["error"] == ""
    assert second["link"] is None
    here.network.is_down = True
    here.cut()
    here.run(30)
    link = status(here)["hosts"][0]["link"]
    assert link["state"] == "waiting"
    assert "no connection" in link["error"]
    assert link["due"] is not None


def test_a_link_that_is_stopped_needs_a_person(world, tmp_path):
    here = Site(world, tmp_path, password="not-this-one")
    assert not any("link" in each for each in status(here)["needs"])
    here.run(1000, step=5)
    (need,) = [each for each in status(here)["needs"] if "link" in each]
    assert need.startswith("the link to NSK1 is stopped: the host did not accept VTS.EMS")
    assert "`vtspolicy restart-link NSK1`" in need
    assert "not-this-one" not in need


def test_an_operator_opens_a_link_anew(world, tmp_path):
    here = Site(world, tmp_path)
    told = []
    operator(here).restart_link("NSK1", "operator alice", "a try").addCallback(told.append)
    here.run(5)
    assert told == [{"host": "NSK1"}]
    assert here.states.count(LinkState.READING) == 2
    with pytest.raises(UnknownThing, match="NSK2 is not a host that is dialled"):
        operator(here).restart_link("NSK2", "operator alice")


def test_the_order_is_one_of_the_control_socket():
    assert VERBS["restart-link"].method == "restart_link"
    assert not VERBS["restart-link"].records
    result = CliRunner().invoke(restart_link, ["--help"])
    assert "HOST" in result.output


def test_the_metric_has_each_state_and_forgets_a_host_that_is_not_dialled(world):
    metrics = world.metrics
    metrics.link_in("NSK1", LinkState.READING)
    shown = {
        each.labels["state"]: each.value
        for family in metrics.link_state.collect()
        for each in family.samples
    }
    assert shown.pop("reading") == 1
    assert len(shown) == len(LinkState) - 1
    assert set(shown.values()) == {0}
    metrics.link_in("NSK1", None)
    metrics.link_in("NSK1", None)
    assert not next(iter(metrics.link_state.collect())).samples


def test_what_opens_links_is_closed_with_the_server(world, tmp_path):
    here = Site(world, tmp_path)
    here.dialer.call_no_more()
    here.cut()
    here.run(600, step=5)
    assert here.states.count(LinkState.READING) == 1
    here.dialer.close()
    assert here.states[-1] is None
