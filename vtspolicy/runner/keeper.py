"""The keeper: the small process that starts runs, waits for them and writes down how they ended.

It is a program of its own (`python -I -S -X utf8 keeper.py SPOOL IDLE`), with the standard library
only, because it outlives the server, and upgrades of it: every module it will ever need is
imported at its start. One keeper of each protocol version serves a spool (it holds the lock file);
whoever connects to its socket there is greeted and told of every run that starts and ends.

A run is started at most once. The server makes a folder for it; the keeper claims the run by making
the file `state` in there, which only one can do, before it starts the program and before it makes
any other file. So the server can take back what nobody has claimed by removing the folder, which
the system does only while it is empty, and nobody can make a file in a folder that was removed.
`state` is the run's journal of JSON lines, appended by single writes: the claim with what was asked
for, the process, a stop that was asked for, the exit. They fit into the block that the first of
them has taken, so that on most file systems the exit status finds its place on a full disk too;
where it does not, it is tried again until it does.

The output of a run is bounded so: when the file has grown above its limit, the first half of the
limit stays, the last part is kept (`TAIL` at most), and what lay between is dropped, with a line
that says how much. That needs no reader that could block the program, works on every file system,
and keeps the two parts that people look at. The price: what a program writes in the very instant of
the cut can be lost, or stand before the kept end. The sizes are looked at once a second.

SIGTERM makes it hand over: it lets go of its socket and lock at once, so that a new keeper can
take further runs, and ends when the last of its own runs has. It says so with each exit that it
notes from then on, for the machine may be about to stop. Without runs and connections it ends by
itself after IDLE seconds.
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
import stat
import sys
import time
from collections.abc import Iterator

ENCODER = json.JSONEncoder(separators=(",", ":"))
VERSION = 2
"""Of the protocol on the socket, which bears it in its name, and of the lines in `state`."""
SOCKET = f"keeper-{VERSION}.sock"
LOCK = f"keeper-{VERSION}.lock"
INPUT = "input"
OUTPUT = "output"
STATE = "state"
FRESH = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
ROOM = 1200  # characters of an argument list that are kept in the journal, which has to stay short
TAIL = 1 << 20  # bytes of the end of an output that are kept when it is cut
LONGEST = (
    16 << 20
)  # bytes of one request; an argument list of 2 MiB can need six times that as JSON
UNREAD = 1 << 20  # bytes that wait for a server that does not read, before it is cut off
WAITING = 256  # requests of one server that wait here; the others wait in its socket
FIRST = 5.0  # seconds to wait for the first connection: whoever started us wants to connect
TURN = 16  # requests handled before the children are looked at again
CLOCK = ".vtspolicy-keeper-clock"
"""A private file in a vault; its change time, when it was touched, is the vault's own time."""
FOLDER = os.O_PATH | os.O_DIRECTORY
TAPE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
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


@contextlib.contextmanager
def opened(name: str, flags: int, folder: int | None = None) -> Iterator[int]:
    """Open a file, in a folder that is open, and close it again. Raises OSError."""
    fd = os.open(name, flags | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        yield fd
    finally:
        os.close(fd)


def look(root: str, pool: str, cartridge: str) -> dict[str, object]:
    """Look at the file of a tape; what cannot be told is None.

    `file` is its inode, size, mtime and ctime in nanoseconds and device, if it is a plain file with
    one name; `open`, whether a process has it open for writing; `clock`, the vault's own time in
    nanoseconds, which was taken before the other two; `at`, ours, taken before all. No link is
    followed below the root.
    """
    seen: dict[str, object] = {"at": time.time(), "file": None, "open": None, "clock": None}
    if any("/" in name or name in {"", ".", ".."} for name in (pool, cartridge)):
        return seen
    with (
        contextlib.suppress(OSError),
        opened(root, FOLDER) as above,
        opened(pool, FOLDER | os.O_NOFOLLOW, above) as within,
    ):
        seen["clock"] = vault_clock(above, within)
        facts, writer = facts_of(cartridge, within)
        if is_plain(facts):
            seen["open"] = writer
            times = (facts.st_mtime_ns, facts.st_ctime_ns)
            seen["file"] = [facts.st_ino, facts.st_size, *times, facts.st_dev]
    return seen


def is_plain(facts: os.stat_result) -> bool:
    """Whether a file is a plain one with one name."""
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1


def facts_of(name: str, folder: int) -> tuple[os.stat_result, bool | None]:
    """Return the facts of a file, and whether a process has it open for writing, or wants to.

    A lease tells the latter; only the file's owner and who has CAP_LEASE can take one. It is held
    while the facts are taken, so that who opens the file for writing meanwhile waits until they
    are, and what it writes is later. Raises OSError.
    """
    try:
        fd = os.open(name, TAPE, dir_fd=folder)
    except BlockingIOError:  # another process has a lease on it, and was told to let go
        return os.stat(name, dir_fd=folder, follow_symlinks=False), True
    try:
        facts = os.fstat(fd)
        if not is_plain(facts):
            return facts, None
        try:
            # What tells of somebody who opens it must not be SIGIO, which kills.
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return facts, True
        except OSError:
            return facts, None
        facts = os.fstat(fd)
        wanted = fcntl.fcntl(fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return facts, wanted
    finally:
        os.close(fd)


def vault_clock(root: int, pool: int) -> int | None:
    """Return the time, in nanoseconds, that the file system of a pool gives a file changed now.

    The private file for that lies in the root, or in the pool where the root takes none or is on
    another file system. None: it can be made in neither.
    """
    device = os.fstat(pool).st_dev
    for folder in (root, pool):
        with contextlib.suppress(OSError):
            if os.fstat(folder).st_dev == device:
                return touched(folder)
    return None


def touched(folder: int) -> int:
    """Return the change time of our private file in a folder, touched now, in nanoseconds.

    Nothing is ever written, and what is not our own, empty, plain file with one name is left alone.
    Raises OSError.
    """
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW
    for more in (0, os.O_CREAT | os.O_EXCL, 0):  # another keeper may make it meanwhile
        with (
            contextlib.suppress(FileNotFoundError, FileExistsError),
            opened(CLOCK, flags | more, folder) as fd,
        ):
            facts = os.fstat(fd)
            if not is_plain(facts) or facts.st_size or facts.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            os.utime(fd)
            return os.fstat(fd).st_ctime_ns
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def encoded(message: dict[str, object]) -> bytes:
    """Return one line."""
    return ENCODER.encode(message).encode() + b"\n"


def afresh(line: bytes) -> bytes:
    """Return a line to be added to a journal whose last one may be cut: its writer had died."""
    return b"\n" + line


def fitting(words: list[str], room: int) -> list[str]:
    """Return the words that fit, as JSON, into so many characters; "..." stands for the others."""
    if len(ENCODER.encode(words)) <= room:
        return words
    for number, word in enumerate(words):
        room -= len(ENCODER.encode(word)) + 1
        if room < 0:
            return [*words[:number], "..."]
    return words


def write_whole(fd: int, data: bytes) -> None:
    """Write all of it at once. Raises OSError if there is no room."""
    if os.write(fd, data) < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def complain(text: str) -> None:
    """Write a line to the log, if there is room for it."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the log


class Request:
    """A run that a server asks for."""

    def __init__(self, line: bytes) -> None:
        """Read it. Raises ValueError, KeyError, TypeError or AttributeError for what is none."""
        read = json.loads(line)
        self.key = str(read["start"])
        self.limit = int(read["limit"])  # of its output, in bytes
        self.program = str(read["program"])  # absolute path
        self.argv = [str(each) for each in read["argv"]]
        self.env = {str(name): str(value) for name, value in read["env"].items()}
        self.has_input = bool(read["input"])
        self.about = dict(read["about"])  # what people shall find in the journal


class Child:
    """A run that this keeper started."""

    def __init__(self, key: str, output: str, limit: int, state: int) -> None:
        self.key = key
        self.output = output
        self.limit = limit
        self.state = state  # descriptor of its journal
        self.unwritten = b""
        self.started = b""  # what servers are told of its start

    def record(self, line: bytes) -> None:
        """Add a line to the journal, now or, on a full disk, later."""
        self.unwritten += afresh(line)
        self.write()

    def told(self, what: str, line: bytes) -> bytes:
        """Return a line of the journal as servers are told it: with the key in front."""
        return b'{"%s":%s,%s' % (what.encode(), ENCODER.encode(self.key).encode(), line[1:])

    def write(self) -> bool:
        """Write what is owed to the journal; answer whether nothing is owed any more.

        What found room in part only is written again whole: the server may have written between.
        """
        try:
            written = os.write(self.state, self.unwritten)
            # Somebody may have removed the folder: then there is no reader.
            if written == len(self.unwritten) or not os.fstat(self.state).st_nlink:
                self.unwritten = b""
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
        self.awaited = select.EPOLLIN  # what the loop waits for

    def receive(self) -> None:
        """Take in what has arrived; an end or a fault closes."""
        try:
            data = self.sock.recv(1 << 16)
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
        self.null = os.open("/dev/null", os.O_RDONLY)  # the input of runs that are given none
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
        self.poll.register(sock, connection.awaited)
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
                request = Request(line)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                complain(f"not a request: {error!r}")
                connection.requests.clear()
                connection.open = False
                break
            self.start(connection, request)

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
            if more != connection.awaited:
                connection.awaited = more
                self.poll.modify(connection.sock, more)

    def tell(self, line: bytes) -> None:
        """Tell all servers: usually there is one."""
        for connection in self.connections.values():
            connection.out += line

    def start(self, connection: Connection, request: Request) -> None:
        """Start a run, unless somebody claimed it before."""
        key = request.key
        if key in self.keys:
            connection.out += self.keys[key].started
            return
        folder = f"{self.spool}/{key}"
        source = self.null
        try:
            os.chdir(folder)
            if request.has_input:
                source = os.open(INPUT, os.O_RDONLY)
            state, output = self.claim(request)
        except (FileExistsError, FileNotFoundError):
            connection.out += encoded({"claimed": key})  # or taken back: the files tell
        except OSError as error:
            connection.out += encoded({"refused": key, "reason": f"{folder}: {error.strerror}"})
        else:
            child = Child(key, f"{folder}/{OUTPUT}", request.limit, state)
            self.spawn(connection, child, request, (source, output))
            os.close(output)
        finally:
            if source != self.null:
                os.close(source)

    def claim(self, request: Request) -> tuple[int, int]:
        """Claim a run whose folder is the current one; return descriptors of journal and output.

        Raises FileExistsError or FileNotFoundError if it was claimed or taken back before.
        """
        claim = {"claim": VERSION, "keeper": self.me, "boot": self.boot, "at": time.time()}
        asked = {"argv": fitting(request.argv, ROOM), "env": fitting([*request.env], ROOM // 4)}
        line = encoded({**request.about, **asked, **claim})
        state = os.open(STATE, FRESH, 0o600)
        try:
            write_whole(state, line)
            return state, os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            self.unclaim(state)
            raise

    def unclaim(self, state: int) -> None:
        """Let go of a run that is claimed and not started; `state` is the last to go."""
        for name in (OUTPUT, STATE):
            with contextlib.suppress(OSError):
                os.unlink(name)  # noqa: PTH108 - small
        os.close(state)

    def spawn(
        self, connection: Connection, child: Child, request: Request, streams: tuple[int, int]
    ) -> None:
        """Start the program of a run that is claimed, or write down why it cannot be."""
        try:
            pid = os.posix_spawn(
                request.program,
                request.argv,
                request.env,
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
                self.unclaim(child.state)
                connection.out += encoded({"refused": child.key, "reason": str(error.strerror)})
                return
            number = error.errno if isinstance(error, OSError) else None
            text = error.strerror if isinstance(error, OSError) else str(error)
            self.end(child, {"failed": text, "errno": number, "at": time.time()})
            return
        seen = process(pid)  # not reaped, so that it is there even if it has ended
        line = encoded({"pid": pid, "ticks": seen[3] if seen else 0, "at": time.time()})
        self.children[pid] = self.keys[child.key] = child
        child.record(line)
        child.started = child.told("started", line)
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
            if self.leaving:  # so was it, perhaps: a machine that stops tells all processes to end
                ended["leaving"] = True
            self.end(child, ended)

    def end(self, child: Child, ended: dict[str, object]) -> None:
        """Write down and tell how a run ended."""
        line = encoded(ended)
        child.record(line)
        if child.unwritten:
            self.owed.append(child)
        else:
            os.close(child.state)
        self.tell(child.told("ended", line))

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
    # A session whose leader has ended can be taken for one of a run that had the same number.
    os.setsid()
    Keeper(spool, idle, lock, listener).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
