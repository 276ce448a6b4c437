"""The server as a process: builds the parts, opens the doors, answers signals, stops cleanly."""

import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import define, field
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from vtspolicy.clock_trust import ClockTrust
from vtspolicy.clocks import bear_steps, boot_time
from vtspolicy.config.model import Configuration
from vtspolicy.config.problems import ConfigurationError
from vtspolicy.engine.assembly import Assembly, assemble, assemble_operator
from vtspolicy.engine.operators.operating import Operator
from vtspolicy.engine.policy import Policy, PolicyInForce
from vtspolicy.engine.tapes.vault_threads import THREADS, VaultThreads
from vtspolicy.grammar import load_vocabulary
from vtspolicy.hosts.dial.dialer import Dialer, dialer_of
from vtspolicy.hosts.expiry import expire
from vtspolicy.hosts.listener import Listeners
from vtspolicy.hosts.session import HostSession, SessionServices
from vtspolicy.hosts.sessions import Sessions
from vtspolicy.ledger import Ledger, Retention, path_of
from vtspolicy.ledger.sqlite import SqliteLedger
from vtspolicy.metrics import Metrics
from vtspolicy.rules.cases import failed_cases
from vtspolicy.rules.load import load_table
from vtspolicy.runner.keeper import boot_id
from vtspolicy.runner.processes import ProcessRunner
from vtspolicy.runner.protocol import SpoolError
from vtspolicy.runner.spool import occupy
from vtspolicy.starting import START_ERRORS, exit_code
from vtspolicy.systemd import Notifier
from vtspolicy.threads import Threads
from vtspolicy.web import ControlSocket, look_for_server, make_site

if TYPE_CHECKING:
    from vtspolicy.hosts.certificates import Validity

CONTROL = 5.0
"""Seconds between looks at whether the control socket can still be reached."""

LIFE = 10.0
"""Seconds between signs of life for systemd, at most."""

HOUSEKEEPING = 60.0
"""Seconds between rounds of housekeeping."""

PRUNED_AT_ONCE = 100
"""Requests that one step of housekeeping removes: few enough not to hold up the writer."""

DAY = 86400.0
"""Seconds between warnings of certificates that expire."""

RUNS_KEPT = 7 * 86400.0
"""Seconds that the folder of an ended run is kept."""

COLLECT = (20_000, 20, 20)
"""When garbage is collected: a batch of commands is some ten thousand objects that all live on."""


def policy_of(configuration: Configuration) -> Policy:
    """Read vocabulary and rules of a configuration, and run its rule tests.

    Raises ConfigurationError.
    """
    vocabulary = load_vocabulary(configuration.families)
    table = load_table(configuration.rules, vocabulary=vocabulary, configuration=configuration)
    failures = failed_cases(
        configuration.tests, table=table, vocabulary=vocabulary, configuration=configuration
    )
    if failures:
        raise ConfigurationError(failures)
    return Policy(configuration=configuration, vocabulary=vocabulary, table=table)


@define(kw_only=True)
class Service:
    """One server."""

    reactor: Any  # a whole reactor: time, TCP, UNIX sockets, threads
    policy: Policy
    reread: Callable[[], Policy]  # reads all files again, for a reload
    log: Logger = field(factory=lambda: Logger("vtspolicy.service"))
    ledger: Ledger = field(init=False)
    engine: Assembly = field(init=False)
    sessions: Sessions = field(init=False)  # of all host links
    listeners: Listeners = field(init=False)
    dialer: Dialer = field(init=False)
    metrics: Metrics = field(init=False, factory=Metrics)
    ports: list[IListeningPort] = field(init=False, factory=list)
    operator: Operator = field(init=False)
    control: ControlSocket | None = field(init=False, default=None)
    stopping: bool = field(init=False, default=False)
    notifier: Notifier = field(factory=lambda: Notifier.of(os.environ, os.getpid()))
    _alive: LoopingCall | None = field(init=False, default=None)  # feeds systemd's watchdog
    _spool: int | None = field(init=False, default=None)  # what keeps others from ours
    _housekeeping: LoopingCall = field(init=False)
    _control_loop: LoopingCall = field(init=False)
    _certificates: tuple["Validity", ...] = field(init=False, default=())  # of the open doors
    _certificates_loop: LoopingCall = field(init=False)

    def __attrs_post_init__(self) -> None:
        configuration = self.policy.configuration
        self.ledger = SqliteLedger(path_of(configuration.ledger), self.reactor)
        runner = ProcessRunner(self.reactor, configuration.spool, output_limit=configuration.output)
        in_force = PolicyInForce(self.policy)
        self.engine = assemble(
            clock=self.reactor,
            policy=in_force,
            ledger=self.ledger,
            runner=runner,
            metrics=self.metrics,
            steady=time.monotonic,
            trust=ClockTrust(wall=self.reactor.seconds, boot=boot_time, boot_id=boot_id()),
            threads=VaultThreads(
                known=in_force.vaults,
                threads=Threads("disk", self.reactor, THREADS).ask,
            ),
        )
        services = SessionServices(
            reactor=self.reactor,
            engine=self.engine,
            outbox=self.engine.outbox,
            node=configuration.node,
            settle=configuration.settle,
        )
        self.sessions = Sessions(
            services=services,
            hosts=in_force.hosts,
            on_count=self._count_session,
        )
        self.listeners = Listeners(
            sessions=self.sessions,
            limit=configuration.connections,
            on_refused=self.metrics.connection_refused,
            on_tls_failure=self.metrics.tls_failed,
        )
        for listen in configuration.listen:
            if listen.clients is not None:
                self.metrics.tls_failures.labels(listen.endpoint)
        self.dialer = dialer_of(
            self.reactor, services, self.sessions, configuration.spool, self.metrics.link_in
        )
        self.engine.policy.subscribe(lambda policy: self.dialer.renew(policy.configuration))
        self.operator = assemble_operator(
            self.engine, sessions=self.sessions, reread=self.reread, dialer=self.dialer
        )
        self._control_loop = LoopingCall(self.look_after_control)
        self._certificates_loop = LoopingCall(self.warn_of_certificates)
        self._housekeeping = LoopingCall(self._keep_house)

    async def start(self) -> None:
        """Open the ledger, take up what was left, then open the doors."""
        configuration = self.policy.configuration
        self._show_life()
        await self.ledger.open()
        self.ledger.on_trouble(self._trouble)
        self._spool = occupy(configuration.spool)
        look_for_server(configuration.spool)
        await self.engine.start()
        if self._is_over():
            return
        self.operator.begin()
        await self.listeners.open(self.reactor, configuration.listen)
        self.dialer.start(configuration)
        await self._open_web()
        self._know_certificates()
        if self._is_over():
            return
        self.engine.watch()
        self._control_loop.clock = self.reactor
        self._control_loop.start(CONTROL, now=False).addErrback(self._defect)
        self._certificates_loop.clock = self.reactor
        self._certificates_loop.start(DAY).addErrback(self._defect)  # and now
        self._housekeeping.clock = self.reactor
        self._housekeeping.start(HOUSEKEEPING, now=False).addErrback(self._defect)
        doors = ", ".join(address(port) for port in (*self.listeners.ports, *self.ports))
        self.log.info("Ready: {doors}.", action="ready", doors=doors)
        self.notifier.ready(f"Ready: {doors}")

    def _show_life(self) -> None:
        """Feed systemd's watchdog from now on, and extend its time-out during a long start."""
        every = LIFE if self.notifier.watchdog is None else min(self.notifier.watchdog / 3, LIFE)

        def alive() -> None:
            self.notifier.alive()
            if self.ledger.trouble is not None and not self._housekeeping.running:
                why = f"Waiting for the ledger: {self.ledger.trouble}"
                self.notifier.wait_longer(3 * LIFE, why)

        if self.notifier.address is not None:
            self._alive = LoopingCall(alive)
            self._alive.clock = self.reactor
            self._alive.start(every).addErrback(self._defect)

    def _is_over(self) -> bool:
        """Whether a stop has overtaken the start; a method, as it changes while others work."""
        return self.stopping

    async def _open_web(self) -> None:
        """The web endpoint only reads; the control socket, for this user alone, also acts."""
        where = self.policy.configuration.web
        site_of = partial(
            make_site,
            self.operator,
            self.ledger,
            self.metrics,
            threads=Threads("metrics", self.reactor).ask,
        )
        if where is not None:
            site = site_of(writable=False, names=self._names)
            self.ports.append(await serverFromString(self.reactor, where).listen(site))
        await self._open_console()
        site = site_of(writable=True)
        self.control = ControlSocket.open(
            self.reactor,
            self.policy.configuration.spool,
            site,
            self.policy.configuration.control_group,
        )

    async def _open_console(self) -> None:
        """Open the pages for people, if there are any."""
        console = self.policy.configuration.console
        if console is None:
            return
        from vtspolicy.web.console.opening import open_console  # noqa: PLC0415  Jinja, OpenSSL

        port = await open_console(
            self.reactor,
            console,
            control=self.operator,
            ledger=self.ledger,
            policy=self.engine.policy,
            names=self._names,
        )
        self.ports.append(port)

    def _names(self) -> set[str]:
        """Return the names by which the web endpoints may be asked for."""
        configuration = self.engine.policy.current.configuration
        own = {configuration.node, socket.gethostname(), *configuration.web_names}
        if configuration.console is not None:
            own |= {*configuration.console.names}
        return own | {name.split(".")[0] for name in own} | {"localhost"}

    def look_after_control(self) -> None:
        """Open the control socket again if it was removed, alone or with the spool's folder."""
        if self.control is None or not self.control.is_lost:
            self.operator.state.unreachable = None
            return
        try:
            self._occupy_again()
            self.control = self.control.renew()
        except (OSError, CannotListenError, SpoolError) as error:
            if self.operator.state.unreachable is None:
                self.log.error(
                    "The control socket is gone and cannot be opened; it is tried again: {error}.",
                    action="control_lost",
                    error=str(error),
                )
            self.operator.state.unreachable = str(error)
        else:
            self.operator.state.unreachable = None
            self.log.warn(
                "The control socket was removed; {path} is opened again.",
                action="control_renewed",
                path=str(self.control.path),
            )

    def _occupy_again(self) -> None:
        """Keep others from the spool's folder if it is another one than the one that was kept."""
        spool = self.policy.configuration.spool
        about = spool.stat()
        if self._spool is not None and os.path.samestat(about, os.fstat(self._spool)):
            return
        kept, self._spool = self._spool, occupy(spool)
        if kept is not None:
            os.close(kept)

    def _know_certificates(self) -> None:
        """Keep until when the certificates of the open doors hold: files may change meanwhile."""
        doors = self.policy.configuration.doors.values()
        listeners = [each for each in doors if each.cert is not None]
        if not listeners:
            return
        from vtspolicy.hosts.certificates import validities  # noqa: PLC0415  OpenSSL

        self._certificates = tuple(each for listen in listeners for each in validities(listen))
        ends: dict[str, float] = {}
        for each in self._certificates:
            ends[str(each.file)] = min(each.end, ends.get(str(each.file), each.end))
        for file, end in ends.items():
            self.metrics.certificate_expiry.labels(file).set(end)

    def warn_of_certificates(self) -> None:
        """Log, once a day, which certificates end soon or have ended."""
        now = self.reactor.seconds()
        for words in dict.fromkeys(
            each.wrong(now) or each.soon(now) for each in self._certificates
        ):
            if words is not None:
                self.log.warn(
                    "{words}; renew it and restart the server.",
                    action="certificate_expires",
                    words=words[0].upper() + words[1:],
                )

    async def stop(self) -> None:
        """Close the doors, finish what is being recorded; running applications continue.

        From the first moment nothing is started, and no end is judged: where everything is made to
        end at once, what ends from now on does so because of that. The next server judges it.
        """
        self.log.info("Stopping; running applications continue.", action="stopping")
        self.notifier.stopping()
        self.stopping = True
        loops = (self._housekeeping, self._certificates_loop, self._control_loop, self._alive)
        for loop in loops:
            if loop is not None and loop.running:
                loop.stop()
        self.engine.unwatch()
        self.engine.queue.close()
        hung_up = Deferred.fromCoroutine(self.engine.runner.close())
        for port in self.ports:
            await maybeDeferred(port.stopListening)
        if self.control is not None:
            await self.control.close()
        self.dialer.call_no_more()
        await self.listeners.close()
        await self.sessions.close()
        self.dialer.close()
        self.engine.wait_timeouts.close()
        await hung_up
        await self.ledger.close()
        if self._spool is not None:
            os.close(self._spool)

    def _keep_house(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.housekeeping()).addErrback(self._defect)

    async def housekeeping(self) -> None:
        """Remove what is old, in small steps: notices, requests, folders of ended runs.

        None of it is begun while the clock is not trusted, and what is old is reckoned from the
        time that was believed at that moment.
        """
        trust = self.engine.clock_trust
        if trust.check() is None:
            await self._expire_notices(trust.time)
        while trust.check() is None and await self._forget_some(trust.time):
            await deferLater(self.reactor, 0.05)
        if trust.check() is None:
            await self.engine.threads(self.engine.runner.sweep, trust.time - RUNS_KEPT)

    def _forget_some(self, now: float) -> Deferred[int]:
        before = now - self.engine.policy.current.configuration.retention
        spared = self.engine.clock_trust.spared(before)
        return self.engine.ledger.write(Retention.prune, before, PRUNED_AT_ONCE, spared)

    async def _expire_notices(self, now: float) -> None:
        configuration = self.engine.policy.current.configuration
        before = now - configuration.notices_kept
        expired = await expire(
            self.engine.ledger, before, now, self.engine.clock_trust.spared(before)
        )
        for host, count in expired.items():
            known = host if host in configuration.hosts else ""
            self.metrics.notices_expired.labels(known).inc(count)
            self.log.warn(
                "{count} notices for {host} have expired: it did not take them for {days:g} days.",
                action="notices_expired",
                count=count,
                host=host,
                days=configuration.notices_kept / 86400.0,
            )

    def _trouble(self, trouble: str | None) -> None:
        self.metrics.ledger_trouble.set(trouble is not None)
        if trouble is None:
            self.log.info("The ledger can be written again.", action="ledger_well")
        else:
            self.log.critical(
                "The ledger cannot be written, nothing is accepted: {trouble}.",
                action="ledger_trouble",
                trouble=trouble,
            )

    def _count_session(self, session: HostSession, change: int) -> None:
        self.operator.gauges.count(session)
        for host in session.hosts:
            self.metrics.connected.labels(host.name).inc(change)
            self.metrics.connections.labels(host.name).inc(max(change, 0))

    def _defect(self, failure: Failure) -> None:
        self.log.failure("Housekeeping failed.", failure, action="housekeeping_failed")


def address(port: IListeningPort) -> str:
    """Return where a port listens, as people write it."""
    where = port.getHost()
    number = getattr(where, "port", None)
    return (
        f"{getattr(where, 'host', '')}:{number}"
        if number
        else os.fsdecode(getattr(where, "name", b""))
    )


@define
class Signals:
    """What a server does when it is signalled: TERM and INT stop it, HUP reloads."""

    _service: Service
    _started: bool = False
    _hung_up: bool = False  # while it started

    def heed(self) -> None:
        """Take signals from now on; the reactor, which runs, has its own way with them else."""
        for number, do in (
            (signal.SIGHUP, self._reload),
            (signal.SIGTERM, self.stop),
            (signal.SIGINT, self.stop),
        ):
            signal.signal(number, partial(self._later, do))

    def started(self) -> None:
        """The start is over; a reload that was asked for meanwhile may have read older files."""
        self._started = True
        if self._hung_up:
            self._reload()

    def stop(self) -> None:
        """Stop the server, unless it is stopping already."""
        with suppress(ReactorNotRunning):
            self._service.reactor.stop()

    def _later(self, do: Callable[[], None], *_: object) -> None:
        self._service.reactor.callFromThread(do)

    def _reload(self) -> None:
        self._hung_up = True
        if self._started and not self._service.stopping:
            told = self._service.operator.reload("signal HUP")
            told.addErrback(lambda failure: failure.trap(ConfigurationError))  # it is in the log


def run(reactor: Any, policy: Policy, reread: Callable[[], Policy]) -> int:  # a whole reactor
    """Run a server until it is stopped; return its exit code."""
    bear_steps(reactor)
    service = Service(reactor=reactor, policy=policy, reread=reread)
    signals = Signals(service)
    code = 0

    def failed(failure: Failure) -> None:
        nonlocal code
        if service.stopping:
            return  # it was stopped while it started, which nothing can survive
        error, expected = failure.value, isinstance(failure.value, START_ERRORS)
        code = exit_code(error) if expected and error is not None else 1
        if expected:
            sys.stderr.write(f"vtspolicy: {failure.getErrorMessage()}\n")
        else:
            service.log.failure("The server cannot start.", failure, action="start_failed")
        signals.stop()

    def settle_down(_: object) -> None:
        """Keep what lives as long as the server out of every collection of garbage."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)
        signals.started()

    def begin() -> None:
        signals.heed()
        gc.set_threshold(0)  # nothing is collected: what a start makes stays
        Deferred.fromCoroutine(service.start()).addCallbacks(settle_down, failed)

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    reactor.callWhenRunning(begin)
    reactor.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromCoroutine(service.stop())
    )
    reactor.run()
    return code
