"""Links to a simulated host, with a whole server behind them: what is read, answered, resumed."""

import engines
import pytest
from dialled_hosts import Site

from vtspolicy.links.life import LinkState

ARCHIVE = "VTSPolicy DSK 'archive /VAULT01/PAY/P0000{} ref=r{}'"


@pytest.fixture(scope="module")
def files():
    site = engines.Site()
    yield site
    site.remove()


@pytest.fixture
def world(files):
    made = engines.World(files)
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
