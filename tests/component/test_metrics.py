"""The metrics that dashboards and alerts rely on: their names and labels do not change."""

from types import SimpleNamespace

import pytest
from attrs import evolve
from twisted.internet.defer import succeed

from tests.harness.engine_worlds import Site, World
from tests.harness.sessions_in_memory import GONE
from vtspolicy import __version__
from vtspolicy.engine.commands.queue_capacity import FULL_PAUSE
from vtspolicy.engine.commands.receiving import MOST_KEPT
from vtspolicy.hosts.read_activity import ReadActivity
from vtspolicy.ledger import NoticeRecords
from vtspolicy.metrics import Metrics
from vtspolicy.notices import Notice, Word
from vtspolicy.rules.load import load_table

PROMISED = {
    "events_received_total": ("host",),
    "commands_total": ("family", "result"),
    "requests_ended_total": ("result",),
    "event_commit_seconds": (),
    "rule_matches_total": ("rule",),
    "jobs": ("state",),
    "job_seconds": ("application", "outcome"),
    "job_retries_total": ("application",),
    "seats_in_use": ("application",),
    "lock_wait_seconds": (),
    "notices_pending": ("host",),
    "notices_oldest_seconds": ("host",),
    "notices_expired_total": ("host",),
    "host_connected": ("host",),
    "host_last_event_timestamp_seconds": ("host",),
    "tapes": ("state",),
    "config_last_reload_successful": (),
    "config_hash_info": ("hash",),
    "paused_seconds_total": (),
}


@pytest.mark.parametrize(("name", "labels"), PROMISED.items())
def test_a_metric_keeps_its_name_and_its_labels(name, labels):
    known = {
        metric._name + ("_total" if metric._type == "counter" else ""): tuple(metric._labelnames)
        for metric in vars(Metrics()).values()
        if hasattr(metric, "_labelnames")
    }
    assert known[f"vtspolicy_{name}"] == labels


@pytest.fixture
def world():
    site = Site()
    world = World(site)
    world.use_sessions(all=())
    yield world
    world.close()
    site.remove()


def waiting(world, host):
    """What dashboards are told of a host's notices: how many wait, and since when."""
    world.operator.collect()
    world.settle()
    return tuple(
        world.metrics.registry.get_sample_value(f"vtspolicy_{name}", {"host": host})
        for name in ("notices_pending", "notices_oldest_seconds")
    )


def test_notices_that_wait_are_counted_by_host_with_the_age_of_the_oldest(world):
    assert waiting(world, "NSK1") == (0, 0)
    for seconds in (90.0, 30.0):
        notice = Notice(word=Word.COMPLETED, host="NSK1", created=world.clock.seconds())
        world.ledger.write(NoticeRecords.add, notice)
        world.clock.pass_time(seconds)
    assert waiting(world, "NSK1") == (2, 120.0)
    assert waiting(world, "NSK2") == (0, 0)
    world.connect("NSK1", format="ems")
    world.clock.pass_time(1.0)
    assert waiting(world, "NSK1") == (0, 0)


def shown(world, name):
    """A gauge as dashboards get it: its value by label."""
    world.operator.collect()
    world.settle()
    return {
        next(iter(sample.labels.values())): sample.value
        for metric in world.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == f"vtspolicy_{name}"
    }


SMALLER = """
applications:
  RST: {seats: 1}
rules:
  - rule: all that is left
    when: {family: RST}
    run: ["true", "{path}"]
"""


def test_what_a_reload_removes_is_shown_no_more(world):
    site = world.site
    world.use_sessions(all=(), renew=lambda: None)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'", 1)
    of_hosts = ("notices_pending", "notices_oldest_seconds", "host_connected")
    last_event = "host_last_event_timestamp_seconds"
    assert shown(world, "seats_in_use") == {"DSK": 1, "RST": 0, "BRG": 0, "Erase": 0}
    for name in (*of_hosts, last_event):
        assert set(shown(world, name)) == {"NSK1", "NSK2"}
    rules = site.root / "smaller.yaml"
    rules.write_text(SMALLER)
    hosts = {"NSK2": site.configuration.hosts["NSK2"]}
    configuration = evolve(site.configuration, hosts=hosts)
    table = load_table([rules], vocabulary=site.vocabulary, configuration=configuration)
    world.operator.reloading.reread = lambda: evolve(
        site.reader, table=table, configuration=configuration
    )
    world.operator.reload("operator alice")
    world.settle()
    assert shown(world, "seats_in_use") == {"DSK": 1, "RST": 0}  # its job still runs
    world.runner.exit("000001-1")
    world.settle()
    assert shown(world, "seats_in_use") == {"RST": 0}
    for name in (*of_hosts, last_event):
        assert set(shown(world, name)) == {"NSK2"}


NOISE = b"26-11-22 02:14:09 \\NSK1.$ZBAT TANDEM.EMS.L01 1234 Volume is up\n"


def last_events(world):
    return shown(world, "host_last_event_timestamp_seconds")


def test_whatever_a_host_sends_is_a_sign_of_it_and_silence_counts_from_the_start(world):
    began = world.clock.seconds()
    session = world.connect("NSK1", format="ems")
    world.use_sessions(all=[session])
    world.clock.pass_time(100.0)
    assert last_events(world) == {"NSK1": began, "NSK2": began}
    session.dataReceived(NOISE * 100)
    world.clock.pass_time(50.0)
    assert last_events(world) == {"NSK1": began + 100, "NSK2": began}
    world.clock.pass_time(50.0)
    assert last_events(world) == {"NSK1": began + 100, "NSK2": began}


def test_the_silence_of_a_host_that_a_reload_adds_counts_from_then(world):
    reader = world.site.reader
    own = {"NSK1": world.site.configuration.hosts["NSK1"]}
    alone = evolve(reader, configuration=evolve(reader.configuration, hosts=own))
    began = world.clock.seconds()
    for used in (alone, reader):
        world.clock.pass_time(100.0)
        world.engine.policy.use(used)
    assert last_events(world) == {"NSK1": began, "NSK2": began + 200}


def paused(world):
    """The seconds of pauses that dashboards are told of, up to now."""
    world.operator.collect()
    world.settle()
    return world.metrics.registry.get_sample_value("vtspolicy_paused_seconds_total")


def test_a_pause_of_hosts_that_do_not_read_is_counted_while_it_lasts(world):
    sessions = [world.connect(name, format="ems") for name in ("NSK1", "NSK2")]
    world.use_sessions(all=sessions)
    so_far = 0.0
    for _ in range(2):
        world.clock.pass_time(5.0)
        assert paused(world) == so_far
        sessions[0].pauseProducing()
        world.clock.pass_time(10.0)
        assert paused(world) == so_far + 10.0
        sessions[1].pauseProducing()
        world.clock.pass_time(10.0)
        so_far += 30.0
        assert paused(world) == so_far
        sessions[0].resumeProducing()
        sessions[1].resumeProducing()


def test_a_full_queue_is_a_pause_while_as_much_is_kept_as_may_be(world):
    configuration = evolve(world.site.configuration, waiting=1)
    world.engine.policy.current = evolve(world.site.reader, configuration=configuration)
    world.engine.queue.drain()
    session = world.connect("NSK1", format="ems")
    world.use_sessions(all=[session])
    archive = b"VTSPolicy DSK 'archive /VAULT01/PAY/P00000'\n"
    session.dataReceived(archive * MOST_KEPT)
    world.clock.pass_time(10.0)
    assert paused(world) == 0.0
    session.dataReceived(archive)
    world.clock.pass_time(10.0)
    assert paused(world) == 10.0
    world.engine.queue.resume()
    world.clock.pass_time(FULL_PAUSE)
    world.clock.pass_time(10.0)
    assert paused(world) == 10.0 + FULL_PAUSE
    session.connectionLost(GONE)
    world.clock.pass_time(10.0)
    assert paused(world) == 10.0 + FULL_PAUSE


def test_a_clock_that_is_set_back_takes_nothing_from_a_pause(world):
    reading = ReadActivity(SimpleNamespace(seconds=iter((100.0, 130.0, 130.0, 10.0)).__next__))
    reading.pause()
    assert reading.report() == (None, 30.0)
    reading.resume()
    assert reading.report() == (None, 0.0)


# What alarms look at


def ended(world):
    """How many requests have ended, by result, but those that none has."""
    return {result: int(count) for result, count in shown(world, ENDED).items() if count}


ENDED = "requests_ended_total"
PLAN = """
rules:
  - rule: not before long
    application: BRG
    when: {family: BRG}
    run: ["true", "{path}"]
    each: pool
    timeouts: {waiting: 1h}
  - rule: a pool at once
    application: DSK
    when: {family: DSK}
    run: ["true", "{path}"]
"""


def test_series_of_alarms_are_there_before_anything_has_failed(world):
    results = {"completed", "warning", "failed", "cancelled", "timedout", "interrupted"}
    assert shown(world, ENDED) == dict.fromkeys(results, 0)
    assert shown(world, "notices_expired_total") == {"": 0, "NSK1": 0, "NSK2": 0}


def test_a_request_that_fails_without_any_job_is_counted_once(world):
    for _ in range(3):  # the same event: two of them are duplicates
        world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/GONE'", 1)
    assert ended(world) == {"failed": 1}


def test_every_end_of_a_request_is_counted_whoever_asked_for_it(world, tmp_path):
    rules = tmp_path / "plan.yaml"
    rules.write_text(PLAN)
    site = world.site
    table = load_table([rules], vocabulary=site.vocabulary, configuration=site.configuration)
    world.engine.policy.use(evolve(site.reader, table=table))
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/PAY'", 1)
    for job in (1, 2, 3):
        assert ended(world) == {}
        world.runner.exit(f"{job:06d}-1")
        world.settle()
    assert ended(world) == {"completed": 1}
    world.order("VTSPolicy DSK 'archive /VAULT01/ONE'")
    world.settle()
    world.cancel_by_operator(2)
    assert ended(world) == {"completed": 1, "cancelled": 1}
    world.engine.queue.drain()
    world.send("NSK1", "VTSPolicy BRG '/VAULT01/PAY'", 2)
    world.clock.pass_time(3601.0)
    assert ended(world) == {"completed": 1, "cancelled": 1, "timedout": 1}


def sample(world, name, **labels):
    return world.metrics.registry.get_sample_value(f"vtspolicy_{name}", labels)


def collected(world):
    world.operator.collect()
    world.settle()


def end_run(world, code):
    (life,) = world.machine.running
    world.runner.exit(life.run.key, code)
    world.settle()


TAPE = "VTSPolicy DSK 'archive /VAULT01/PAY/P00000'"
LABELS = {"family": "DSK", "application": "DSK"}


def test_results_are_counted_by_host_and_by_application(world):
    assert sample(world, "request_results_total", result="failed", host="NSK1") == 0
    world.send("NSK1", TAPE)
    end_run(world, 12)
    world.send("NSK1", "VTSPolicy DSK 'archive /VAULT01/SECRET'", 1)
    world.send("NSK1", "VTSPolicy DSK 'archve /VAULT01/PAY'", 2)
    world.retry(world.ledger.tx.jobs.get(1))
    end_run(world, 0)
    for result in ("failed", "denied", "rejected", "completed"):
        assert sample(world, "request_results_total", result=result, host="NSK1") == 1, result
    assert sample(world, "request_results_total", result="failed", host="NSK2") == 0
    assert sample(world, "job_results_total", state="failed", **LABELS) == 1
    assert sample(world, "job_results_total", state="completed", **LABELS) == 1


def test_counters_are_there_before_there_is_anything_to_count(world):
    assert sample(world, "build_info", version=__version__) == 1
    for reason in ("full", "stranger", "handshake", "made_way"):
        assert sample(world, "connections_refused_total", reason=reason) == 0
    assert sample(world, "job_results_total", state="failed", **LABELS) == 0
    assert sample(world, "job_retries_total", application="DSK") == 0
    assert sample(world, "events_received_total", host="NSK2") == 0
    assert sample(world, "host_connections_total", host="NSK2") == 0
    assert sample(world, "rule_matches_total", rule="a pool at once") == 0
    for result in ("recalled", "failed", "denied", "unknown", "unread", "esm"):
        assert sample(world, "mount_requests_total", result=result) == 0
    assert world.metrics.registry.get_sample_value("process_start_time_seconds") > 0


def test_what_the_configuration_does_not_name_is_another_one(world):
    world.metrics.request_result(Word.FAILED, "\x1b[31m")
    world.metrics.request_result(Word.FAILED, "")
    assert sample(world, "request_results_total", result="failed", host="other") == 2


def test_the_last_success_is_known_after_a_restart_too(world):
    labels = {"application": "DSK", "host": "NSK1", "rule": "archive once"}
    assert sample(world, "last_success_timestamp_seconds", **labels) is None
    world.send("NSK1", TAPE)
    world.clock.pass_time(30.0)
    at = world.clock.seconds()
    end_run(world, 0)
    assert sample(world, "last_success_timestamp_seconds", **labels) == at
    world.metrics = Metrics()
    world.restart()
    world.operator.begin()
    world.settle()
    assert sample(world, "last_success_timestamp_seconds", **labels) == at


def test_the_oldest_job_and_the_seats_are_reported_by_application(world):
    world.send("NSK1", "VTSPolicy RST '/VAULT01/PAY'")  # three jobs, one seat
    world.clock.pass_time(50.0)
    collected(world)
    assert sample(world, "oldest_job_seconds", state="running", application="RST") == 50.0
    assert sample(world, "oldest_job_seconds", state="waiting", application="RST") == 50.0
    assert sample(world, "oldest_job_seconds", state="waiting", application="DSK") == 0
    assert sample(world, "seats", application="DSK") == 2


def test_the_last_copy_of_the_ledger_is_known(world, tmp_path):
    assert sample(world, "ledger_backup_timestamp_seconds") == 0
    world.ledger.backup = lambda _path: succeed(None)
    world.operator.backup(str(tmp_path / "copy.db"), "operator alice")
    world.settle()
    at = world.clock.seconds()
    assert sample(world, "ledger_backup_timestamp_seconds") == at
    line = world.ledger.tx.history.about("ledger")[-1]
    assert (line.actor, line.at) == ("operator alice", at)


def test_refusals_are_counted_from_nothing_on(world):
    counted = world.metrics.render().decode()
    for name in (
        'input_refused_total{host="NSK1",kind="header"}',
        'input_refused_total{host="NSK1",kind="cut"}',
        'commands_total{family="",result="rejected"}',
        'commands_total{family="",result="unheard"}',
        'commands_total{family="TSM",result="denied"}',
        'commands_total{family="Erase",result="norule"}',
    ):
        assert f"vtspolicy_{name} 0.0\n" in counted
