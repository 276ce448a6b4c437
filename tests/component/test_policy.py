"""The policy in force: its parts are replaced together, and subscribers learn of it in order."""

import pytest
from attrs import evolve

from tests.harness.engine_worlds import Site
from vtspolicy.engine.policy import PolicyInForce


@pytest.fixture(scope="module")
def policy():
    site = Site()
    yield site.reader
    site.remove()


def test_each_subscriber_takes_a_policy_in_the_order_of_subscription(policy):
    in_force, taken = PolicyInForce(policy), []
    in_force.subscribe(lambda each: taken.append(("first", each.configuration.node)))
    in_force.subscribe(lambda each: taken.append(("second", in_force.current is each)))
    other = evolve(policy, configuration=evolve(policy.configuration, node="other.example.com"))
    in_force.use(other)
    assert in_force.current is other
    assert taken == [("first", "other.example.com"), ("second", True)]


def test_nobody_is_told_of_the_first_policy_before_it_is_used(policy):
    in_force, taken = PolicyInForce(policy), []
    in_force.subscribe(taken.append)
    assert taken == []
    in_force.use(policy)
    assert taken == [policy]
