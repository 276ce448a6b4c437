"""A vault that does not answer, as a file system of the network can: the others continue."""

from attrs import evolve
from twisted.internet.defer import Deferred

from tests.harness.engine_worlds import Site, World, now_at_once
from vtspolicy.engine.tapes.vault_threads import AT_ONCE, VaultThreads
from vtspolicy.grammar import Target


class Disks:
    """Ten threads for calls of vaults; those of one that hangs never answer."""

    def __init__(self):
        self.hung = []

    def __call__(self, function, *args):
        if len(self.hung) == 10:
            return Deferred()
        if args and getattr(args[0], "vault", None) == "VAULT09":
            self.hung.append(args)
            return Deferred()
        return now_at_once(function, *args)


def target(vault):
    return Target(vault=vault, pool="P")


def test_a_vault_that_hangs_takes_no_more_threads_than_its_own():
    disks = Disks()
    vault_threads = VaultThreads(known=lambda: ("VAULT09", "VAULT01"), threads=disks)
    for _ in range(100):
        vault_threads(repr, target("VAULT09"))
    assert len(disks.hung) == AT_ONCE
    answered = []
    for about in (target("VAULT01"), Target(cartridge="A00017")):
        vault_threads(lambda about: about, about).addCallback(answered.append)
    vault_threads(lambda: "all").addCallback(answered.append)
    assert answered == [target("VAULT01"), Target(cartridge="A00017"), "all"]


def test_who_waits_for_a_vault_gets_its_turn_in_order():
    calls = []

    def later(function, *args):
        calls.append((Deferred(), args[0].pool))
        return calls[-1][0]

    vault_threads = VaultThreads(known=lambda: ("V",), threads=later)
    for number in range(AT_ONCE + 2):
        vault_threads(repr, Target(vault="V", pool=str(number)))
    assert len(calls) == AT_ONCE
    calls[0][0].callback(None)
    calls[1][0].callback(None)
    assert [pool for _, pool in calls[AT_ONCE:]] == [str(AT_ONCE), str(AT_ONCE + 1)]


def test_names_that_are_no_vaults_make_no_lanes():
    vault_threads = VaultThreads(known=lambda: ("V",), threads=now_at_once)
    for number in range(50):
        vault_threads(repr, target(f"NO{number}"))
    vault_threads(repr, target("V"))
    assert len(vault_threads._lanes) == 2


def test_a_host_whose_vault_hangs_holds_up_no_other_host():
    site = Site()
    vaults = {**site.configuration.vaults, "VAULT09": site.root / "VAULT09"}
    hosts = {
        name: evolve(host, vaults=("VAULT01", "VAULT09"))
        for name, host in site.configuration.hosts.items()
    }
    site.configuration = evolve(site.configuration, vaults=vaults, hosts=hosts)
    site.reader = evolve(site.reader, configuration=site.configuration)
    world = World(site)
    world.use_threads(VaultThreads(known=lambda: vaults, threads=Disks()))
    for _ in range(20):
        session = world.connect("NSK1", format="ems")
        session.dataReceived(b"VTSPolicy DSK 'archive /VAULT09/PAY'\n")
        world.clock.pass_time(0.3)
    world.send("NSK2", "VTSPolicy DSK 'archive /VAULT01/PAY/P00001'", 2)
    assert [notice.word.name for notice in world.mail["NSK1"].notices] == []
    assert [notice.word.name for notice in world.mail["NSK2"].notices] == ["ACCEPTED", "STARTED"]
    world.close()
    site.remove()
