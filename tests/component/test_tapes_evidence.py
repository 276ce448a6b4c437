"""Whatever happens: what a host last wrote is on the tape, or comes back from a copy.

The real engine, ledger and vaults, with a host that writes at any moment, an application that does
its work badly, a server that is killed at any step, ledgers that are put back and clocks that jump.
A check of liveness ends each: refusing everything would pass otherwise.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.harness.tape_programs import play, programs
from tests.harness.tape_sites import QUEUED, SUMMED, TapeSite
from tests.harness.tape_worlds import TapeWorld
from vtspolicy.vaults import acts, restores

SEARCH = os.environ.get("EVIDENCE_EXAMPLES")
"""How many new programs a search tries on each kind of site. Without it the same 25 are tried."""

KINDS = {
    "found": TapeSite,
    "data": lambda: TapeSite(proof="data"),
    "in place": lambda: TapeSite(place="{path}", seats=1),
    "staging": lambda: TapeSite(place="{staging}", proof="data"),
    "queued": lambda: TapeSite(place="{path}", archive=QUEUED, restore=QUEUED),
    "touches": lambda: TapeSite(touches=True),
    "sums": lambda: TapeSite(archive=SUMMED),
    "sums in place": lambda: TapeSite(archive=SUMMED, place="{path}"),
    "queued aside": lambda: TapeSite(archive=QUEUED, restore=QUEUED, proof="data"),
    "coarse times": lambda: TapeSite(tick=1_000_000_000, seats=1),
    "coarse and in place": lambda: TapeSite(tick=1_000_000_000, place="{path}", proof="data"),
    "no exchange": lambda: TapeSite(exchange=False),
    "no exchange and coarse": lambda: TapeSite(exchange=False, tick=1_000_000_000, archive=SUMMED),
    "no leases": lambda: TapeSite(leases=False),
    "pools": lambda: TapeSite(archive="", each_pool=True),
    "pools in place": lambda: TapeSite(archive="", each_pool=True, place="{path}", seats=1),
}


@pytest.fixture(scope="module", params=list(KINDS))
def site(request):
    site = KINDS[request.param]()
    yield site
    site.remove()


@pytest.fixture(scope="module", autouse=True)
def no_grace():
    """Other processes are given no moment: there is none but the model's host, which needs none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acts, "GRACE", 0.0)
        patch.setattr(restores, "GRACE", 0.0)
        yield


@settings(
    max_examples=int(SEARCH or "25"),
    derandomize=SEARCH is None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(program=programs())
def test_what_a_host_last_wrote_is_never_lost(site, program):
    world = TapeWorld(site)
    try:
        play(world, program)
    finally:
        world.close()
