"""A safeguard that is taken away is missed: a short search finds what it lets through."""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.harness.tape_defects import DEFECTS
from tests.harness.tape_programs import ERASED, FOCUSED, Player, focused, play
from tests.harness.tape_sites import TapeSite
from tests.harness.tape_worlds import TapeWorld
from vtspolicy.engine.tapes.plan import Plan
from vtspolicy.engine.tapes.restores import Restores
from vtspolicy.jobs import Ending
from vtspolicy.vaults import acts, restores

EXAMPLES = 60
"""Programs in which a defect has to be found."""

ATTACKS_ELSEWHERE = {
    12: "below: a pool that became a symbolic link",
    13: "test_cleanup.py: retention that no calendar holds",
    14: "test_clock_trust.py: clocks that jump",
}


def search(site, programs, examples):
    """Play programs until one fails; return why, or None."""

    @seed(20261122)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(program=programs)
    def run(program):
        world = TapeWorld(site)
        try:
            play(world, program)
        finally:
            world.close()

    try:
        run()
    except AssertionError as error:
        return str(error) or "the invariant"
    return None


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    monkeypatch.setattr(acts, "GRACE", 0.0)
    monkeypatch.setattr(restores, "GRACE", 0.0)


@pytest.mark.parametrize("name", list(DEFECTS))
def test_a_missing_safeguard_is_found(name, monkeypatch):
    defect = DEFECTS[name]
    site = TapeSite(**defect.site)
    defect.put_in(monkeypatch)
    kinds = [FOCUSED[each] for each in defect.steps]
    try:
        assert search(site, focused(kinds, defect.begin), EXAMPLES), defect.what
    finally:
        site.remove()


def restored_through_a_link(site):
    """What stands outside of the vault after a Restore into a pool that became a link to there."""
    world = TapeWorld(site)
    outside = site.root / "outside"
    outside.mkdir(exist_ok=True)
    pool = world.tapes[0].path.parent
    try:
        for step in ERASED:
            getattr(Player(world), step[0])(*step[1:])
        world.engine.queue.drain()
        world.command("VTSPolicy Restore - T00001")
        pool.rename(pool.with_name("OLD"))
        pool.symlink_to(outside)
        world.engine.queue.resume()
        Player(world).work()
        return [each.name for each in outside.iterdir()]
    finally:
        world.close()


@pytest.mark.parametrize("guarded", [True, False])
def test_a_restore_that_cannot_look_at_its_tape_is_not_run(guarded, monkeypatch):
    begin = Restores.begin

    async def run_all_the_same(self, job):
        plan = await begin(self, job)
        unknown = Plan(way="path", copy=None, size=None, values={})
        return unknown if isinstance(plan, Ending) else plan

    if not guarded:
        monkeypatch.setattr(Restores, "begin", run_all_the_same)
    site = TapeSite(place="{path}")
    try:
        assert restored_through_a_link(site) == ([] if guarded else ["T00001"])
    finally:
        site.remove()


def test_with_all_safeguards_the_same_steps_find_nothing():
    kinds = [FOCUSED[each] for defect in DEFECTS.values() for each in defect.steps]
    begin = st.sampled_from([defect.begin for defect in DEFECTS.values()])
    site = TapeSite()
    try:
        found = search(site, begin.flatmap(lambda each: focused(kinds, each)), 60)
        assert found is None
    finally:
        site.remove()


def test_each_attack_on_tapes_is_shown():
    shown = {defect.attack for defect in DEFECTS.values()} | ATTACKS_ELSEWHERE.keys()
    assert set(range(1, 16)) <= shown
