"""The keeper: the small process that starts runs, waits for them and writes down how they ended.

It is a program of its own (`python -I -S -X utf8 keeper.py SPOOL IDLE`), with the standard library
only, because it outlives the server, and upgrades of it: every module it will ever need is
imported at its start. One keeper of each protocol version serves a spool (it holds the lock file);
it greets each connection to its socket there and reports every run that starts and ends.

A run is started at most once. The server makes a folder for it; the keeper claims the run by making
the file `state` in there, which only one can do, before it starts the program and before it makes
any other file. So the server can take back what is not claimed by removing the folder, which the
system does only while it is empty, and no file can be made in a folder that was removed.
`state` is the run's journal of JSON lines, appended by single writes: the claim with what was asked
for, the process, a stop that was asked for, the exit, two looks at its tape. They fit into the
block that the first of them has taken, so that on most file systems the exit status finds its place
on a full disk too; where it does not, it is tried again until it does.

A run that is about a tape has that looked at twice: when it is claimed, just before its program is
started, and when its exit is known, before that is reported. Those who look are processes of their
own, one for each vault, so that a vault that does not answer holds up its own runs only, and each
of those for `LOOKING` seconds at most: then it continues without that look. The exit is noted
before the look that follows it: if the keeper is killed between the two, the exit status is known
and the look is missing, which costs the copy some trust and nothing else. The other way round both
would be lost. A reader that finds an exit without a look waits for the look while the keeper lives.

The output of a run is bounded so: when the file has grown above its limit, the first half of the
limit stays, the last part is kept (`TAIL` at most), and what lay between is dropped, with a line
that says how much. That needs no reader that could block the program, works on every file system,
and keeps the two parts that people look at. The price: what a program writes in the very instant of
the cut can be lost, or be before the kept end. The sizes are looked at once a second, and when a
run has ended.

SIGTERM makes it hand over: it gives up its socket and lock at once, so that a new keeper can
take further runs, and ends when the last of its own runs has. It says so with each exit that it
notes from then on, for the machine may be about to stop. Without runs and connections it ends
after IDLE seconds.
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
from collections.abc import Callable, Iterator
from functools import partial

ENCODER = json.JSONEncoder(separators=(",", ":"))
VERSION = 3
"""Of the protocol on the socket, which has it in its name, and of the lines in `state`.

3: takes looks at tapes. A new server does not ask an older keeper for runs, which would take none.
"""
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
FIRST = 5.0  # seconds to wait for the first connection: the server that started us wants to connect
TURN = 16  # requests handled before the children are looked at again
LONGEST_LOOK = 1 << 16  # bytes of a question to a looker, or of its answer
LOOKING = 5.0  # seconds for which a look at a tape is waited for
SPARE = 600.0  # seconds after which a looker without work is ended
CAP_LEASE = 28  # the capability to take leases on the files of others
CAPABILITY_VERSION = 0x20080522  # of the structures that capset(2) takes
CLOCK = ".vtspolicy-keeper-clock"
"""A private file in a vault; its change time, when it was touched, is the vault's own time."""
FOLDER = os.O_PATH | os.O_DIRECTORY
TAPE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
PASSING = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""Errors of posix_spawn that say nothing about the program: it may be tried again."""
IGNORED = {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2}
RESTORED = IGNORED | {signal.SIGPIPE, signal.SIGXFSZ}  # Python itself ignores the last two


def boot_id() -> str:
    """Return what identifies one boot of the machine."""
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
    """Look at the file of a tape; what cannot be found out is None.

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

    A lease shows the latter; only the file's owner and processes with CAP_LEASE can take one. It is
    held while the facts are taken: a process that opens the file for writing meanwhile waits
    until then, so that its writes come later. Raises OSError.
    """
    try:
        fd = os.open(name, TAPE, dir_fd=folder)
    except BlockingIOError:  # another process has a lease on it, and was asked to release it
        return os.stat(name, dir_fd=folder, follow_symlinks=False), True
    try:
        facts = os.fstat(fd)
        if not is_plain(facts):
            return facts, None
        try:
            # The signal for an open by another process must not be SIGIO, which kills.
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
    another file system. None if it can be made in neither.
    """
    device = os.fstat(pool).st_dev
    for folder in (root, pool):
        with contextlib.suppress(OSError):
            if os.fstat(folder).st_dev == device:
                return touched(clock_name(folder), folder)
    return None


def clock_name(folder: int) -> str:
    """Return the name of our private file in a folder.

    A keeper of another user may have made the usual one: of a second server, or of root before the
    server had a user of its own. Its owner shows that.
    """
    try:
        owner = os.stat(CLOCK, dir_fd=folder, follow_symlinks=False).st_uid
    except OSError:
        return CLOCK
    return CLOCK if owner == os.geteuid() else f"{CLOCK}-{os.geteuid()}"


def touched(name: str, folder: int) -> int:
    """Return the change time of our private file in a folder, touched now, in nanoseconds.

    Nothing is ever written, and what is not our own, empty, plain file with one name is left alone.
    Raises OSError.
    """
    flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW
    for more in (0, os.O_CREAT | os.O_EXCL, 0):  # another keeper may make it meanwhile
        with (
            contextlib.suppress(FileNotFoundError, FileExistsError),
            opened(name, flags | more, folder) as fd,
        ):
            facts = os.fstat(fd)
            if not is_plain(facts) or facts.st_size or facts.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
            os.utime(fd)
            return os.fstat(fd).st_ctime_ns
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def encoded(message: dict[str, object] | list[object]) -> bytes:
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


class Looker:
    """A process that looks at the tapes of one vault, for as long as its keeper wants.

    A file system that does not answer blocks the process that looks at it, and a signal may not
    free it. So neither the keeper nor one of its threads may look: lock and socket of a killed
    keeper would stay until the file system answers, and no other keeper could take its place.
    """

    def __init__(self) -> None:
        """Start it. Raises OSError."""
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            if not os.fork():
                self.live(theirs)
        except OSError:
            self.sock.close()
            raise
        finally:
            theirs.close()
        self.sock.setblocking(False)
        self.owed = 0  # looks that it was asked for and has not reported
        self.used = time.monotonic()

    @staticmethod
    def live(sock: socket.socket) -> None:
        """Look at what is asked for, until the other end is closed; in the process itself."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends when its keeper does
            os.chdir("/")
            # Nothing else of the keeper's may stay open in here: no lock, no connection, no output.
            os.dup2(sock.fileno(), 3)
            os.closerange(4, os.sysconf("SC_OPEN_MAX"))
            with socket.socket(fileno=3) as asked:
                while line := asked.recv(LONGEST_LOOK):
                    number, *tape = json.loads(line)
                    asked.send(encoded({"look": number, **look(*tape)}))
        except (OSError, ValueError, TypeError):  # the keeper is gone
            pass
        finally:
            os._exit(0)

    def ask(self, number: int, tape: list[str]) -> None:
        """Ask for a look. Raises OSError, which is BlockingIOError if too much is asked already."""
        self.sock.send(encoded([number, *tape]))
        self.owed += 1
        self.used = time.monotonic()


class Awaited:
    """A look that was asked for."""

    def __init__(self, tape: list[str], then: Callable[[dict[str, object] | None], None]) -> None:
        self.tape = tape
        self.then = then  # called with the look, or with None when it did not come
        self.until = time.monotonic() + LOOKING
        self.tries = 0


def keep_from_programs(capability: int) -> None:
    """Have no program that is started inherit a capability; we keep it. Raises OSError.

    What a service's unit gives its user is inherited by all that it starts. The programs of root
    have all capabilities anyway.
    """
    with open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 - small
        lines = dict(line.split(":", 1) for line in file)
    if not int(lines["CapInh"], 16) >> capability & 1:
        return
    # Few need it, and it takes memory for as long as we live.
    import ctypes  # noqa: PLC0415

    library = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable of 0-31, then those of 32-63
    inheritable = 2 + capability // 32 * 3
    if not library.capget(header, sets):
        sets[inheritable] &= ~(1 << capability % 32)
        if not library.capset(header, sets):  # which takes it out of the ambient ones as well
            return
    raise OSError(ctypes.get_errno(), "a capability cannot be kept from programs")


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
        self.tape: list[str] | None = None  # to be looked at: root of its vault, pool, cartridge
        if read["tape"] is not None:
            root, pool, cartridge = read["tape"]
            self.tape = [str(root), str(pool), str(cartridge)]


class Child:
    """A run that this keeper started."""

    def __init__(
        self, key: str, output: str, limit: int, state: int, tape: list[str] | None = None
    ) -> None:
        self.key = key
        self.output = output
        self.limit = limit
        self.state = state  # descriptor of its journal
        self.tape = tape  # to be looked at
        self.before: dict[str, object] | None = None  # the look before it was started
        self.unwritten = b""
        self.started = b""  # what servers get about its start

    def record(self, line: bytes) -> None:
        """Add a line to the journal, now or, on a full disk, later."""
        self.unwritten += afresh(line)
        self.write()

    def bound(self) -> None:
        """Cut the output if it has grown too long."""
        with contextlib.suppress(OSError):  # the program has removed it: its business
            if os.stat(self.output).st_size > self.limit:  # noqa: PTH116 - small
                bound(self.output, self.limit)

    def told(self, what: str, line: bytes) -> bytes:
        """Return a line of the journal as servers get it: with the key in front."""
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
        """Send what can be sent; a server that does not read is cut off: all is in the files."""
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
        self.lookers: dict[str, Looker] = {}  # by the root of their vault
        self.looks: dict[int, Awaited] = {}  # by number
        self.asked = 0  # number of the newest look
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
        while self.children or self.owed or self.looks or not self.finished():
            for fd, _ in self.poll.poll(self.patience()):
                if fd == wake:
                    os.read(wake, 4096)
                elif fd in self.connections:
                    self.connections[fd].receive()
                elif fd == self.listener.fileno():
                    self.accept()
                else:
                    self.hear(fd)
            self.reap()  # first: the looks at what has ended must not be late
            for connection in list(self.connections.values()):
                self.attend(connection)
            self.give_up()
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
        if self.children or self.owed or self.looks:
            self.busy = time.monotonic()
            until = min((each.until for each in self.looks.values()), default=self.busy + 1)
            return min(1.0, max(0.0, until - self.busy))
        if self.connections:
            return SPARE if self.lookers else -1
        return max(0.0, self.busy + self.idle - time.monotonic())

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
        """Send what a server is to get."""
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
        """Report to all servers: usually there is one."""
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
            connection.out += encoded({"claimed": key})  # or taken back: the files show it
        except OSError as error:
            connection.out += encoded({"refused": key, "reason": f"{folder}: {error.strerror}"})
        else:
            child = Child(key, f"{folder}/{OUTPUT}", request.limit, state, request.tape)
            streams, source = (source, output), self.null
            if child.tape is None:
                self.spawn(connection, child, request, streams)
            else:
                begin = partial(self.begin, connection, child, request, streams)
                self.look(Awaited(child.tape, begin))
        finally:
            self.let(source)

    def let(self, *streams: int) -> None:
        """Close what a program had as its input or output."""
        for each in streams:
            if each != self.null:
                os.close(each)

    def begin(
        self,
        connection: Connection,
        child: Child,
        request: Request,
        streams: tuple[int, int],
        seen: dict[str, object] | None,
    ) -> None:
        """Start a run that is claimed, now that its tape was looked at, or could not be in time."""
        child.before = seen
        child.record(encoded({"before": seen}))
        folder = os.path.dirname(child.output)  # noqa: PTH120 - small
        try:
            os.chdir(folder)
        except OSError as error:  # somebody has removed it, and the journal with it
            self.let(*streams)
            os.close(child.state)
            reason = f"{folder}: {error.strerror}"
            connection.out += encoded({"refused": child.key, "reason": reason})
        else:
            self.spawn(connection, child, request, streams)

    def claim(self, request: Request) -> tuple[int, int]:
        """Claim a run whose folder is the current one; return descriptors of journal and output.

        Raises FileExistsError or FileNotFoundError if it was claimed or taken back before.
        """
        claim: dict[str, object] = {
            "claim": VERSION,
            "keeper": self.me,
            "boot": self.boot,
            "at": time.time(),
        }
        asked = {"argv": fitting(request.argv, ROOM), "env": fitting([*request.env], ROOM // 4)}
        if request.tape is not None:
            claim["looks"] = True
        line = encoded({**request.about, **asked, **claim})
        state = os.open(STATE, FRESH, 0o600)
        try:
            write_whole(state, line)
            return state, os.open(OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            self.unclaim(state)
            raise

    def unclaim(self, state: int) -> None:
        """Give up a run that is claimed and not started; `state` is removed last."""
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
            line = encoded({"failed": text, "errno": number, "at": time.time()})
            child.record(line)
            self.end(child, line)
            return
        finally:
            self.let(*streams)
        seen = process(pid)  # not reaped, so that it is there even if it has ended
        line = encoded({"pid": pid, "ticks": seen[3] if seen else 0, "at": time.time()})
        self.children[pid] = self.keys[child.key] = child
        child.record(line)
        child.started = child.told("started", line)
        self.tell(child.started)

    def reap(self) -> None:
        """Write down the ends of those that have ended."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                # There are none: only the keeper asks for their status.
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
            if (
                self.leaving
            ):  # so was it, perhaps: a machine that stops signals all processes to end
                ended["leaving"] = True
            line = encoded(ended)
            child.record(line)
            if child.tape is None:
                self.end(child, line)
            else:
                self.look(Awaited(child.tape, partial(self.end_with, child, line)))

    def end_with(self, child: Child, line: bytes, seen: dict[str, object] | None) -> None:
        """Record the look at the tape of a run that has ended, and report how it ended."""
        child.record(encoded({"after": seen}))
        looks = encoded({"before": child.before, "after": seen})
        self.end(child, line[:-2] + b"," + looks[1:])

    def end(self, child: Child, line: bytes) -> None:
        """Report how a run ended; its records are written or will be."""
        child.bound()
        if child.unwritten:
            self.owed.append(child)
        else:
            os.close(child.state)
        self.tell(child.told("ended", line))

    # Looks

    def look(self, awaited: Awaited) -> None:
        """Have a tape looked at, or say that it cannot be."""
        root = awaited.tape[0]
        awaited.tries += 1
        self.asked += 1
        try:
            self.looker(root).ask(self.asked, awaited.tape)
        except BlockingIOError:  # it owes hundreds
            awaited.then(None)
        except OSError as error:
            complain(f"cannot look at {root}: {error}")
            self.part(root)
            self.look_again(awaited)
        else:
            self.looks[self.asked] = awaited

    def look_again(self, awaited: Awaited) -> None:
        """Have another looker look, once, in the place of one that was killed."""
        if awaited.tries > 1:
            awaited.then(None)
        else:
            self.look(awaited)

    def looker(self, root: str) -> Looker:
        """Return who looks at the tapes of a vault. Raises OSError."""
        if root not in self.lookers:
            self.lookers[root] = Looker()
            self.poll.register(self.lookers[root].sock, select.EPOLLIN)
        return self.lookers[root]

    def hear(self, fd: int) -> None:
        """Take the next answer of a looker, or its end."""
        root = next((root for root, each in self.lookers.items() if each.sock.fileno() == fd), "")
        looker = self.lookers.get(root)
        if looker is None:  # it was ended since
            return
        try:
            line = looker.sock.recv(LONGEST_LOOK)
        except BlockingIOError:
            return
        except OSError:
            line = b""
        if not line:
            self.part(root)
            return
        looker.owed -= 1
        seen = json.loads(line)
        self.looked(seen.pop("look"), seen)

    def looked(self, number: int, seen: dict[str, object] | None) -> None:
        """Continue what a look was for, unless it was given up before."""
        if (awaited := self.looks.pop(number, None)) is not None:
            awaited.then(seen)

    def give_up(self) -> None:
        """Continue without the looks that take too long."""
        now = time.monotonic()
        for number in [number for number, each in self.looks.items() if each.until <= now]:
            self.looked(number, None)

    def part(self, root: str) -> None:
        """End a looker; the looks that it owes are taken by another."""
        if (looker := self.lookers.pop(root, None)) is None:
            return
        self.poll.unregister(looker.sock)
        looker.sock.close()
        numbers = [number for number, each in self.looks.items() if each.tape[0] == root]
        for awaited in [self.looks.pop(number) for number in numbers]:
            self.look_again(awaited)

    def tend(self) -> None:
        """Once a second: bound the outputs, write what is owed, let idle lookers go."""
        now = time.monotonic()
        if now - self.tended < 1:
            return
        self.tended = now
        for child in self.children.values():
            if child.unwritten:
                child.write()
            child.bound()
        for child in [child for child in self.owed if child.write()]:
            self.owed.remove(child)
            os.close(child.state)
        for root, looker in list(self.lookers.items()):
            if not looker.owed and now - looker.used >= SPARE:
                self.part(root)


def main(spool: str, idle: float) -> int:
    """Keep the runs of a spool, in the background; 0 too if another keeper is there already."""
    keep_from_programs(CAP_LEASE)
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
    mask = os.umask(0o077)  # no other user may have programs run; the runs get the mask as it was
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
