"""Scans of a server with tapes, and what they found."""

from twisted.internet.defer import Deferred


def wait_for(world, work):
    done = Deferred.fromCoroutine(work)
    world.settle()
    world.work()
    assert done.called
    return done.result


def scan(world):
    return wait_for(world, world.engine.catalogue.scan("operator alice"))


def states(world):
    return {tape.name: tape.state for tape in world.ledger.tx.tapes.find()}


def archived(world):
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001 r=14,d'", 1)
    world.work()
