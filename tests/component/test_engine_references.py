"""Status and Cancel of a request that is named by the reference that its host gave it."""

import pytest

from tests.harness.engine_worlds import Site, World


@pytest.fixture(scope="module")
def site():
    site = Site()
    yield site
    site.remove()


@pytest.fixture
def world(site):
    world = World(site)
    yield world
    world.close()


def tell(world, host, *texts):
    session = world.connect(host, format="ems")
    for text in texts:
        session.dataReceived(f"VTSPolicy {text}\n".encode())
        world.settle()


def answers(world, host, since):
    return [(n.word.name, dict(n.fields)) for n in world.mail[host].notices[since:]]


ARCHIVE = "DSK 'archive /VAULT01/ONE ref=payroll'"


def test_status_shows_the_newest_request_of_that_name(world):
    tell(world, "NSK1", ARCHIVE, ARCHIVE, "DSK 'archive /VAULT01/ONE ref=other'")
    before = len(world.mail["NSK1"].notices)

    tell(world, "NSK1", "Status - ref=payroll")

    ((word, fields),) = answers(world, "NSK1", before)
    assert (word, fields["req"], fields["jobs"]) == ("STATUS", 4, 1)
    assert fields["reason"] == "request 2: open, 1 of 1 jobs to go"
    assert "ref" not in fields


def test_cancel_ends_the_newest_request_of_that_name_and_no_other(world):
    tell(world, "NSK1", ARCHIVE, ARCHIVE)
    before = len(world.mail["NSK1"].notices)

    tell(world, "NSK1", "Cancel - ref=payroll")

    told = answers(world, "NSK1", before)
    ended = next(fields for word, fields in told if word == "CANCELLED")
    assert (ended["req"], ended["ref"]) == (2, "payroll")
    own = [(word, fields) for word, fields in told if fields["req"] == 3]
    assert [word for word, _ in own] == ["ACCEPTED", "COMPLETED"]
    assert all("ref" not in fields for _, fields in own)


def test_a_question_that_bears_the_reference_itself_is_not_the_request_it_names(world):
    tell(world, "NSK1", ARCHIVE, "Status - 1 ref=payroll", "Status - ref=payroll")

    word, fields = answers(world, "NSK1", 0)[-1]
    assert (word, fields["reason"].split(":")[0]) == ("STATUS", "request 1")


@pytest.mark.parametrize("verb", ["Status", "Cancel"])
def test_a_reference_of_another_host_names_nothing(world, verb):
    tell(world, "NSK1", ARCHIVE)
    before = len(world.mail["NSK2"].notices)

    tell(world, "NSK2", f"{verb} - ref=payroll")

    ((word, fields),) = answers(world, "NSK2", before)
    assert word == "DENIED"
    assert fields["reason"] == "host NSK2 has no request ref=payroll"


def test_a_request_that_was_refused_is_found_as_well(world):
    tell(
        world, "NSK1", ARCHIVE, "DSK 'archive /VAULT01/ONE ref=payroll x=1'", "Status - ref=payroll"
    )

    _, fields = answers(world, "NSK1", 0)[-1]
    assert fields["reason"].startswith("request 2: rejected")


def test_a_cancel_that_comes_too_late_is_no_success(world):
    tell(world, "NSK1", ARCHIVE)
    (life,) = world.machine.running
    world.runner.exit(life.run.key, 0)
    world.settle()
    before = len(world.mail["NSK1"].notices)

    tell(world, "NSK1", "Cancel - ref=payroll")

    word, fields = answers(world, "NSK1", before)[-1]
    assert (word, fields["reason"]) == (
        "WARNING",
        "nothing was cancelled: request 1 had ended already: completed",
    )


def test_a_cancel_that_is_repeated_is_one(world):
    tell(world, "NSK1", ARCHIVE, "DSK 'archive /VAULT01/ONE ref=second'", "Cancel - ref=second")
    before = len(world.mail["NSK1"].notices)

    tell(world, "NSK1", "Cancel - ref=second")

    word, fields = answers(world, "NSK1", before)[-1]
    assert (word, fields["reason"]) == ("COMPLETED", "request 2 was cancelled already")
