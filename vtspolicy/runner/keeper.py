"""The keeper: the small process that starts runs, waits for them and writes down how they ended.

It is a program of its own (`python -I -S -X utf8 keeper.py SPOOL IDLE`), with the standard library
only, because it outlives the server, and upgrades of it: every module it will ever need is
imported at its start. One keeper of each protocol version serves a spool (it holds the lock file);
whoever connects to its socket there is greeted and told of every run that starts and ends.

A run is started at most once. The server leaves a file `asked` in its folder; the keeper claims the
run by linking that file to the name `state`, which only one can do, before it starts the program.
From then on it is the run's journal of JSON lines, appended by single writes: what was asked for,
the claim, the process, a stop that was asked for, the exit. They fit into the block that the first
of them has taken, so that on most file systems the exit status finds its place on a full disk too;
where it does not, it is tried again until it does. It also makes a run cost one file less.

The output of a run is bounded so: when the file has grown above its limit, the first half of the
limit stays, the last part is kept (`TAIL` at most), and what lay between is dropped, with a line
that says how much. That needs no reader that could block the program, works on every file system,
and keeps the two parts that people look at. The price: what a program writes in the very instant of
the cut can be lost, or stand before the kept end. The sizes are looked at once a second.

SIGTERM makes it hand over: it lets go of its socket and lock at once, so that a new keeper can
take further runs, and ends when the last of its own runs has. Without runs and connections it ends
by itself after IDLE seconds.
"""

import contextlib
import errno
import fcntl
import json
import os
import resource  # noqa: F401 - os.wait4 imports it when it first needs it
import select
import signal
import socket
import sys
import time

ENCODER = json.JSONEncoder(separators=(",", ":"))
VERSION = 1
"""Of the protocol on the socket, which bears it in its name, and of the lines in `state`."""
SOCKET = f"keeper-{VERSION}.sock"
LOCK = f"keeper-{VERSION}.lock"
INPUT = "input"
OUTPUT = "output"
ASKED = "asked"
STATE = "state"
TAIL = 1 << 20  # bytes of the end of an output that are kept when it is cut
LONGEST = (
    16 << 20
)  # bytes of one request; an argument list of 2 MiB can need six times that as JSON
UNREAD = 1 << 20  # bytes that wait for a server that does not read, before it is cut off
WAITING = 256  # requests of one server that wait here; the others wait in its socket
FIRST = 5.0  # seconds to wait for the first connection: whoever started us wants to connect
TURN = 16  # requests handled before the children are looked at again
PASSING = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""Errors of posix_spawn that say nothing about the program: it may be tried again."""
IGNORED = {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
RESTORED = IGNORED | {signal.SIGPIPE, signal.SIGXFSZ}  # Python itself ignores the last two


def boot_id() -> str:
    """Return what tells one start of the machine from every other."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123 - small
        return file.read().strip()


def process(pid: int | str) -> tuple[str, int, int, int] | None:
    """Return state, group, session and start (clock ticks since boot) of a process; None: gone.

    From /proc/PID/stat (proc(5)). The name in it may hold blanks and parentheses.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        stat = os.read(fd, 4096)
    except OSError:  # it went while we looked
        return None
    finally:
        os.close(fd)
    fields = stat[stat.rfind(b")") + 2 :].split()
    return fields[0].decode(), int(fields[2]), int(fields[3]), int(fields[19])


def bound(path: str, limit: int) -> int:
    """Cut a file that has grown above `limit` bytes as the module says; return how many it lost."""
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        if size <= limit:
            return 0
        head, tail = limit // 2, min(limit // 4, TAIL)
        end = os.pread(fd, tail, size - tail)
        os.ftruncate(fd, head)
        lost = size - head - tail
        os.write(fd, b"\n[... %d bytes of output dropped ...]\n" % lost + end)
        return lost
    finally:
        os.close(fd)


def encoded(message: dict[str, object]) -> bytes:
    """Return one line."""
    return ENCODER.encode(message).encode() + b"\n"


def write_whole(fd: int, data: bytes) -> None:
    """Write all of it at once. Raises OSError if there is no room."""
    if os.write(fd, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def complain(text: str) -> None:
    """Write a line to the log, if there is room for it."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the log


class Child:
    """A run that this keeper started."""

    def __init__(self, key: str, output: str, limit: int, state: int) -> None:
        self.key = key
        self.output = output
        self.limit = limit
        self.state = state  # descriptor of its journal
        self.unwritten = b""
        self.started: dict[str, object] = {}

    def record(self, message: dict[str, object]) -> None:
        """Add a line to the journal, now or, on a full disk, later."""
        self.unwritten += encoded(message)
        self.write()

    def write(self) -> bool:
        """Write what is owed to the journal; answer whether nothing is owed any more."""
        try:
            self.unwritten = self.unwritten[os.write(self.state, self.unwritten) :]
            if self.unwritten and not os.fstat(self.state).st_nlink:
                self.unwritten = b""  # somebody removed the folder: there is no reader
        except OSError:
            pass
        return not self.unwritten


class Connection:
    """A server."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.partial: list[bytes] = []  # of a line that has not ended yet
        self.size = 0  # of `partial`
        self.requests: list[bytes] = []
        self.out = bytearray()
        self.open = True

    def receive(self) -> None:
        """Take in what has arrived; an end or a fault closes."""
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join(self.partial) + lines[0]
            self.partial, self.size = [], 0
            self.requests += lines
        self.partial.append(rest)
        self.size += len(rest)
        # What had arrived before the end was asked for, and is done: `start` claims it once only.
        self.open = self.open and bool(data) and self.size <= LONGEST

    def send(self) -> None:
        """Send what can be sent; a server that does not read is cut off: the files tell it all."""
        try:
            del self.out[: self.sock.send(self.out)]
        except BlockingIOError:
            self.open = self.open and len(self.out) <= UNREAD
        except OSError:
            self.out.clear()
            self.open = False


class Keeper:
    """The runs, the connections, and the loop over both."""

    def __init__(self, spool: str, idle: float, lock: int, listener: socket.socket) -> None:
        self.spool = spool
        self.idle = max(idle, FIRST)
        self.usual = idle
        self.lock = lock
        self.listener = listener
        self.children: dict[int, Child] = {}  # by process id
        self.keys: dict[str, Child] = {}  # the same by key
        self.owed: list[Child] = []  # ended, with lines that are not written yet
        self.connections: dict[int, Connection] = {}  # by descriptor
        self.poll = select.epoll()
        self.leaving = False
        me = process(os.getpid())
        self.me = {"pid": os.getpid(), "ticks": me[3] if me else 0}
        self.boot = boot_id()
        self.tended = time.monotonic()
        self.busy = self.tended  # when there last was something to stay for

    def leave(self, *_: object) -> None:
        """Hand over as soon as the loop comes round (SIGTERM)."""
        self.leaving = True

    def serve(self) -> None:
        """Keep runs until there is nothing to stay for."""
        wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self.leave)
        self.poll.register(wake, select.EPOLLIN)
        self.poll.register(self.listener, select.EPOLLIN)
        while self.children or self.owed or not self.finished():
            for fd, _ in self.poll.poll(self.patience()):
                if fd == wake:
                    os.read(wake, 4096)
                elif fd in self.connections:
                    self.connections[fd].receive()
                else:
                    self.accept()
            for connection in list(self.connections.values()):
                self.attend(connection)
            self.reap()
            self.tend()
            for connection in list(self.connections.values()):
                self.deliver(connection)
            if self.leaving and self.lock >= 0:
                self.let_go()
        if self.lock >= 0:
            self.let_go()

    def finished(self) -> bool:
        """Whether there was nothing to stay for, long enough."""
        if self.connections:
            self.busy = time.monotonic()
        return self.leaving or time.monotonic() - self.busy >= self.idle

    def patience(self) -> float:
        """Return for how many seconds to sleep at most; -1 without end."""
        if any(connection.requests for connection in self.connections.values()):
            return 0
        if self.children or self.owed:
            self.busy = time.monotonic()
            return 1
        return -1 if self.connections else max(0.0, self.busy + self.idle - time.monotonic())

    def let_go(self) -> None:
        """Leave socket and lock to the next keeper, in this order: who has the lock may bind."""
        # In a spool that was removed and made again, the socket is another keeper's.
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(f"{self.spool}/{LOCK}")  # noqa: PTH116 - small
            if os.path.samestat(there, os.fstat(self.lock)):
                os.unlink(f"{self.spool}/{SOCKET}")  # noqa: PTH108 - small
        self.poll.unregister(self.listener)
        self.listener.close()
        for connection in list(self.connections.values()):
            self.drop(connection)
        os.close(self.lock)
        self.lock = -1

    def accept(self) -> None:
        """Let a server in and greet it."""
        try:
            sock, _ = self.listener.accept()
        except OSError:  # it went away again, or we are out of descriptors
            return
        sock.setblocking(False)
        self.idle = self.usual
        connection = self.connections[sock.fileno()] = Connection(sock)
        self.poll.register(sock, select.EPOLLIN)
        connection.out += encoded({"keeper": VERSION, **self.me})

    def drop(self, connection: Connection) -> None:
        """Forget a server."""
        del self.connections[connection.sock.fileno()]
        connection.sock.close()
        self.busy = time.monotonic()

    def attend(self, connection: Connection) -> None:
        """Do some of what a server has asked for."""
        turn, connection.requests = connection.requests[:TURN], connection.requests[TURN:]
        for line in turn:
            try:
                request = json.loads(line)
                key, limit = str(request["start"]), int(request["limit"])
                program, argv = str(request["program"]), [str(each) for each in request["argv"]]
                env = {str(name): str(value) for name, value in request["env"].items()}
                source = INPUT if request.get("input") else "/dev/null"
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                complain(f"not a request: {error!r}")
                connection.requests.clear()
                connection.open = False
                break
            self.start(connection, key, limit, source, (program, argv, env))

    def deliver(self, connection: Connection) -> None:
        """Send what a server is to be told."""
        if connection.out:
            connection.send()
        if not connection.open and not connection.requests:
            self.drop(connection)
        else:
            reading = connection.open and len(connection.requests) < WAITING
            more = select.EPOLLIN if reading else 0
            if connection.out:
                more |= select.EPOLLOUT
            self.poll.modify(connection.sock, more)

    def tell(self, message: dict[str, object]) -> None:
        """Tell all servers: usually there is one."""
        line = encoded(message)
        for connection in self.connections.values():
            connection.out += line

    def start(
        self,
        connection: Connection,
        key: str,
        limit: int,
        source: str,
        what: tuple[str, list[str], dict[str, str]],
    ) -> None:
        """Start a run, its standard input from `source`, unless somebody claimed it before."""
        if key in self.keys:
            connection.out += encoded(self.keys[key].started)
            return
        folder = f"{self.spool}/{key}"
        streams = []
        try:
            os.chdir(folder)
            streams.append(os.open(source, os.O_RDONLY))
            streams.append(os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            state = self.claim()
        except (FileExistsError, FileNotFoundError):
            connection.out += encoded({"claimed": key})  # or taken back: the files tell
        except OSError as error:
            connection.out += encoded({"refused": key, "reason": f"{folder}: {error.strerror}"})
        else:
            self.spawn(connection, Child(key, f"{folder}/{OUTPUT}", limit, state), streams, what)
        finally:
            for stream in streams:
                os.close(stream)

    def claim(self) -> int:
        """Claim the run whose folder is the current one; return its journal's descriptor.

        Raises FileExistsError or FileNotFoundError if it was claimed or taken back before.
        """
        os.link(ASKED, STATE)
        state = os.open(STATE, os.O_WRONLY | os.O_APPEND)
        line = encoded({"claim": VERSION, "keeper": self.me, "boot": self.boot, "at": time.time()})
        try:
            write_whole(state, line)
        except OSError:
            os.unlink(STATE)  # noqa: PTH108 - small
            os.close(state)
            raise
        with contextlib.suppress(FileNotFoundError):
            os.unlink(ASKED)  # noqa: PTH108 - small
        return state

    def spawn(
        self,
        connection: Connection,
        child: Child,
        streams: list[int],
        what: tuple[str, list[str], dict[str, str]],
    ) -> None:
        """Start the program of a run that is claimed, or write down why it cannot be."""
        try:
            pid = os.posix_spawn(
                *what,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, streams[0], 0),
                    (os.POSIX_SPAWN_DUP2, streams[1], 1),
                    (os.POSIX_SPAWN_DUP2, streams[1], 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=RESTORED,
            )
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in PASSING:
                os.unlink(STATE)  # noqa: PTH108 - small
                os.close(child.state)
                connection.out += encoded({"refused": child.key, "reason": str(error.strerror)})
                return
            number = error.errno if isinstance(error, OSError) else None
            text = error.strerror if isinstance(error, OSError) else str(error)
            self.end(child, {"failed": text, "errno": number, "at": time.time()})
            return
        seen = process(pid)  # not reaped, so that it is there even if it has ended
        started: dict[str, object] = {
            "pid": pid,
            "ticks": seen[3] if seen else 0,
            "at": time.time(),
        }
        self.children[pid] = self.keys[child.key] = child
        child.record(started)
        child.started = {"started": child.key, **started}
        self.tell(child.started)

    def reap(self) -> None:
        """Write down the ends of those that have ended."""
        while self.children:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                # Cannot be: nobody else reaps our children. What became of them is not known.
                self.children.clear()
                self.keys.clear()
                return
            if not pid:
                return
            child = self.children.pop(pid, None)
            if child is None:
                continue
            del self.keys[child.key]
            signalled = os.WIFSIGNALED(status)
            ended: dict[str, object] = {
                "exit": None if signalled else os.WEXITSTATUS(status),
                "signal": os.WTERMSIG(status) if signalled else None,
                "at": time.time(),
                "maxrss": usage.ru_maxrss,  # KiB
                "user": round(usage.ru_utime, 3),
                "sys": round(usage.ru_stime, 3),
            }
            self.end(child, ended)

    def end(self, child: Child, ended: dict[str, object]) -> None:
        """Write down and tell how a run ended."""
        child.record(ended)
        if child.unwritten:
            self.owed.append(child)
        else:
            os.close(child.state)
        self.tell({"ended": child.key, **ended})

    def tend(self) -> None:
        """Once a second: bound the outputs and write what is owed."""
        now = time.monotonic()
        if now - self.tended < 1:
            return
        self.tended = now
        for child in self.children.values():
            if child.unwritten:
                child.write()
            try:
                if os.stat(child.output).st_size > child.limit:  # noqa: PTH116 - small
                    bound(child.output, child.limit)
            except OSError:  # the program has removed it: its business
                pass
        for child in [child for child in self.owed if child.write()]:
            self.owed.remove(child)
            os.close(child.state)


def main(spool: str, idle: float) -> int:
    """Keep the runs of a spool, in the background; 0 too if another keeper is there already."""
    os.chdir(spool)
    spool = os.getcwd()  # noqa: PTH109 - small
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    for each in IGNORED:
        signal.signal(each, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET)  # noqa: PTH108 - small
    mask = os.umask(0o077)  # nobody else may have programs run; the runs get the mask as it was
    listener.bind(SOCKET)  # relative: a path of more than 107 bytes would not do
    os.umask(mask)
    listener.listen(16)
    listener.setblocking(False)
    if os.fork():
        os._exit(0)  # who started us knows now that the socket is there, and has no child to reap
    Keeper(spool, idle, lock, listener).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
