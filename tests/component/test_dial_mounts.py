"""The host's list of pending mounts: what no event has told is found in it."""

from datetime import datetime

import pytest
from attrs import evolve

from tests.harness import engine_worlds
from tests.harness.dialled_hosts import Site
from tests.harness.simulated_terminals import logged_on
from vtspolicy.events.mounts import read_mount
from vtspolicy.links.pending_mounts import LIST, PendingMounts, read_list

AT = datetime.fromisoformat("2026-11-22T02:14:09")
SYSTEM = r"\NSK1"


@pytest.fixture(scope="module")
def files():
    site = engine_worlds.Site()
    yield site
    site.remove()


@pytest.fixture
def site(files, tmp_path):
    world = engine_worlds.World(files)
    yield lambda **settings: Site(world, tmp_path, **settings)
    world.close()
    assert not world.violations


def listed(*tapes, **more):
    """What the simulated host lists; each of the tapes was asked for without an event."""
    typist = logged_on()
    for tape in tapes:
        typist.system.request_mount(tape, silent=True, **more)
    return typist.type(LIST)


@pytest.mark.parametrize(
    ("label", "protected", "number", "text"),
    [
        ("TMF", False, 609, "$ZSVR: 0001 MOUNT TMF A00017 ON $TAPE0 WITH RING"),
        ("IBM", True, 604, "$ZSVR: 0001 MOUNT IBM A00017 ON $TAPE0 NO RING"),
        ("BACKUP", False, 600, "$ZSVR: 0001 MOUNT A00017 ON $TAPE0 WITH RING"),
    ],
)
def test_a_request_of_the_list_is_told_as_its_event_would(label, protected, number, text):
    (found,) = read_list(listed("A00017", label=label, write_protected=protected))
    event = found.event(AT, SYSTEM)
    assert (event.number, event.text) == (number, text)
    message = read_mount(event)
    assert (message.volume, message.sequence, message.ring) == ("A00017", "0001", not protected)


def test_what_is_not_a_list_says_nothing():
    assert read_list("") is None
    assert read_list("*ERROR* There is no command, variable or program MEDIACOM") is None
    assert read_list("no tape mounts are pending") is None
    assert read_list(listed()) == []
    assert read_list("x" * 70_000) is None


@pytest.mark.parametrize("tape", ["*ZSSI", "RETRY", "BUST"])
def test_a_library_that_is_busy_is_not_a_tape(tape):
    assert PendingMounts().compare(read_list(listed(tape)), AT, SYSTEM) == []


def test_an_action_that_people_have_to_do_is_left_to_them():
    shown = listed("A00017", action="ACCEPT or REJECT TAPEMOUNT")
    assert PendingMounts().compare(read_list(shown), AT, SYSTEM) == []


def test_each_request_is_told_once_and_is_gone_when_two_lists_do_not_have_it():
    known, full, empty = PendingMounts(), read_list(listed("A00017")), read_list(listed())
    (event,) = known.compare(full, AT, SYSTEM)
    assert known.compare(full, AT, SYSTEM) == []
    assert known.compare(empty, AT, SYSTEM) == []
    assert known.compare(full, AT, SYSTEM) == []
    assert known.compare(empty, AT, SYSTEM) == []
    (gone,) = known.compare(empty, AT, SYSTEM)
    assert gone.number == 649
    message = read_mount(gone)
    assert message.closes_request
    assert message.names("A00017")
    assert message.sequence == read_mount(event).sequence
    assert known.compare(empty, AT, SYSTEM) == []


def test_what_an_event_has_told_is_not_told_again():
    known, full = PendingMounts(), read_list(listed("A00017"))
    known.note(read_mount(full[0].event(AT, SYSTEM)))
    assert known.compare(full, AT, SYSTEM) == []


def test_a_number_that_is_used_again_is_another_request():
    known = PendingMounts()
    known.compare(read_list(listed("A00017")), AT, SYSTEM)
    (event,) = known.compare(read_list(listed("A00018")), AT, SYSTEM)
    assert read_mount(event).volume == "A00018"


# With a whole server


def counted(here, result):
    return here.world.metrics.mounts.labels(result)._value.get()


@pytest.mark.parametrize("protocol", ["telnet", "ssh"])
def test_a_mount_that_no_event_has_told_is_found_in_the_list(site, protocol):
    here = site(protocol=protocol)
    here.system.request_mount("P00000", silent=True)
    here.run(50)
    assert counted(here, "noted") == 0
    here.run(30)
    assert counted(here, "noted") == 1
    here.run(3000, step=5)
    assert counted(here, "noted") == 1
    assert here.ran("MEDIACOM") == 6


def test_a_mount_that_an_event_has_told_is_not_told_by_the_list(site):
    here = site()
    here.system.request_mount("P00000")
    here.run(200, step=1)
    assert here.ran("MEDIACOM") == 1
    assert counted(here, "noted") == 1
    here.cut()
    here.run(1300, step=5)
    assert here.ran("MEDIACOM") >= 3
    assert counted(here, "noted") == 1


def test_without_polling_the_host_is_not_asked(site):
    here = site()
    here.dialer.renew(evolve(here.configuration, dial=(evolve(here.dials[0], poll=0.0),)))
    here.run(2000, step=5)
    assert here.ran("MEDIACOM") == 0
