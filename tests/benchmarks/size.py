"""How much each benchmark does: a whole run of some minutes, or one that only proves it works."""

from attrs import frozen


@frozen(kw_only=True)
class Size:
    """Numbers of things, and of rounds: the figures of rounds are taken in turns."""

    rounds: int = 3
    stream_blocks: int = 100  # of 10,000 lines of noise and a command, about a megabyte each
    burst: int = 10_000  # commands
    rules: int = 1000  # of one family
    runs: int = 1000  # of /bin/true
    peer_runs: int = 300
    latency_seconds: float = 8.0
    latency_rate: int = 1000  # commands a second
    finished: int = 1_000_000  # jobs in the large ledger
    started: int = 5  # starts of a server on it
    waiting: int = 100_000  # jobs
    flood: int = 40_000  # commands, as fast as the socket takes them
    connections: int = 1000
    bad: int = 100  # of them, slow or silent
    crowd_rate: int = 200  # commands a second over all the others
    crowd_seconds: float = 5.0
    tapes: int = 100_000  # in two pools, each with a command
    hosts: int = 1000
    notices: int = 50_000  # that wait for one host
    texts: int = 200  # for the grammar
    tape_mib: int = 1024  # for the disk archive


QUICK = Size(
    rounds=1,
    stream_blocks=3,
    burst=300,
    rules=100,
    runs=20,
    peer_runs=20,
    latency_seconds=0.5,
    latency_rate=200,
    finished=2000,
    started=1,
    waiting=500,
    flood=500,
    connections=40,
    bad=10,
    crowd_rate=100,
    crowd_seconds=0.5,
    tapes=200,
    hosts=20,
    notices=500,
    texts=20,
    tape_mib=8,
)
