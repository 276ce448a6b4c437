"""Who is signed in to the console, and who may not try again yet."""

import pytest
from argon2 import PasswordHasher
from attrs import evolve
from twisted.internet.defer import Deferred, execute

from vtspolicy.config.model import Host
from vtspolicy.config.people import Person, Role
from vtspolicy.web import access as module
from vtspolicy.web.access import (
    FREE_TRIES,
    IDLE,
    LONGEST,
    SLOWEST,
    Access,
    Sight,
    SignInRefused,
    is_form,
)

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ALICE = Person(
    name="alice", role=Role.OPERATOR, password=HASHER.hash("a good password"), hosts=("*",)
)


class World:
    """Access with people that change, and a clock that is moved."""

    def __init__(self):
        self.people = {"alice": ALICE}
        self.now = 1000.0
        self.access = Access(
            people=lambda: self.people,
            monotonic=lambda: self.now,
            threads=execute,
            hasher=HASHER,
        )

    def sign_in(self, name="alice", password="a good password", address="10.0.0.1"):
        outcome = []
        Deferred.fromCoroutine(self.access.sign_in(name, password, address)).addBoth(outcome.append)
        (result,) = outcome
        if isinstance(result, str):
            return result
        error = result.value
        assert isinstance(error, SignInRefused), error
        raise error


@pytest.fixture
def world():
    return World()


def test_a_session_knows_its_person(world):
    session, person = world.access.session(world.sign_in())
    assert (session.name, person) == ("alice", ALICE)


@pytest.mark.parametrize("token", [None, "", "guessed"])
def test_no_cookie_is_no_session(world, token):
    world.sign_in()
    assert world.access.session(token) is None


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),
        ("alice", ""),
        ("bob", "a good password"),
        ("", ""),
        ("alice", "x" * 9999),
    ],
)
def test_a_wrong_name_and_a_wrong_password_are_told_the_same(world, name, password):
    with pytest.raises(SignInRefused, match="this name and password do not fit"):
        world.sign_in(name, password)


def test_a_session_ends_when_it_is_not_used(world):
    token = world.sign_in()
    world.now += IDLE
    assert world.access.session(token) is not None
    world.now += IDLE + 1
    assert world.access.session(token) is None
    assert world.access.session(token) is None


def test_a_session_ends_however_much_it_is_used(world):
    token = world.sign_in()
    until = world.now + LONGEST
    while world.now < until:
        assert world.access.session(token) is not None
        world.now += IDLE / 2
    world.now += 1
    assert world.access.session(token) is None


def test_a_removed_person_is_signed_out_everywhere(world):
    tokens = [world.sign_in(), world.sign_in()]
    world.people = {}
    assert [world.access.session(each) for each in tokens] == [None, None]


def test_a_person_with_another_role_signs_in_again(world):
    token = world.sign_in()
    world.people = {"alice": evolve(ALICE, role=Role.VIEWER)}
    assert world.access.session(token) is None


def test_signing_out_ends_one_session(world):
    one, other = world.sign_in(), world.sign_in()
    world.access.sign_out(one)
    assert world.access.session(one) is None
    assert world.access.session(other) is not None


def test_wrong_passwords_are_slowed_by_name_and_by_address(world):
    for _ in range(FREE_TRIES):
        with pytest.raises(SignInRefused):
            world.sign_in(password="wrong")
    with pytest.raises(SignInRefused, match="too many wrong passwords") as refused:
        world.sign_in(address="10.0.0.2")  # the name has to wait, whoever tries
    assert 0 < refused.value.wait <= 1
    with pytest.raises(SignInRefused, match="too many"):
        world.sign_in("bob")  # and the address
    world.now += refused.value.wait
    world.sign_in(address="10.0.0.2")


def test_the_wait_grows_to_a_bound(world):
    waits = []
    for _ in range(40):
        with pytest.raises(SignInRefused):
            world.sign_in(password="wrong")
        with pytest.raises(SignInRefused) as refused:
            world.sign_in(password="wrong")
        waits.append(refused.value.wait)
        world.now += refused.value.wait
    assert waits == sorted(waits)
    assert waits[-1] == SLOWEST


def test_a_good_password_forgives_the_name_and_not_the_address(world):
    for _ in range(FREE_TRIES - 1):
        with pytest.raises(SignInRefused):
            world.sign_in(password="wrong")
    world.sign_in()
    with pytest.raises(SignInRefused, match="do not fit"):
        world.sign_in(password="wrong")
    with pytest.raises(SignInRefused, match="too many"):
        world.sign_in()
    world.sign_in(address="10.0.0.2")


def test_what_is_remembered_is_bounded(world, monkeypatch):
    monkeypatch.setattr(module, "SESSIONS", 3)
    monkeypatch.setattr(module, "REMEMBERED", 4)
    tokens = [world.sign_in() for _ in range(5)]
    assert [world.access.session(each) is not None for each in tokens] == [0, 0, 1, 1, 1]
    for number in range(20):
        with pytest.raises(SignInRefused):
            world.sign_in(f"person{number}", address=f"10.0.1.{number}")
    assert len(world.access._tries) == 4


def test_few_passwords_are_compared_at_once(world):
    world.access.threads = lambda *_: Deferred()
    waiting = [
        Deferred.fromCoroutine(world.access.sign_in("alice", "x", "10.0.0.1"))
        for _ in range(module.COMPARED)
    ]
    assert not any(each.called for each in waiting)
    with pytest.raises(SignInRefused, match="too many people"):
        world.sign_in()


def test_a_form_belongs_to_its_session(world):
    (one, _), (other, _) = (world.access.session(world.sign_in()) for _ in range(2))
    assert is_form(one, one.form)
    assert not is_form(one, other.form)
    assert not is_form(one, "")
    assert not is_form(one, "ü")


HOSTS = {
    "NSK1": Host(name="NSK1", vaults=("VAULT01",)),
    "NSK2": Host(name="NSK2", vaults=("VAULT02", "VAULT1*")),
}


@pytest.mark.parametrize(
    ("sight", "hosts", "vaults"),
    [
        (("*",), {"NSK1", "NSK2", ""}, {"VAULT01", "VAULT02", "VAULT11", "VAULT99"}),
        (("NSK*",), {"NSK1", "NSK2"}, {"VAULT01", "VAULT02", "VAULT11"}),
        (("NSK2",), {"NSK2"}, {"VAULT02", "VAULT11"}),
        (("NSK9",), set(), set()),
        ((), set(), set()),
    ],
)
def test_who_sees_a_host_sees_its_requests_and_the_vaults_it_may_use(sight, hosts, vaults):
    seen = Sight(hosts=sight)
    assert {each for each in ("NSK1", "NSK2", "") if seen.sees(each)} == hosts
    known = ("VAULT01", "VAULT02", "VAULT11", "VAULT99")
    assert {each for each in known if seen.sees_vault(each, HOSTS)} == vaults
