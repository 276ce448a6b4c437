"""Move bytes from one source through several sinks at once, in memory that does not grow.

Reading, hashing and compressing each take about a core's time, and all of them release Python's
lock while they work: a thread for each, with a fixed set of buffers going round between them.
"""

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

BLOCK = 1 << 20  # bytes; large against the cost of handing a block over, small against caches
BLOCKS = 8

Fill = Callable[[memoryview], int]  # reads into the buffer, returns bytes read, 0 at the end
Sink = Callable[[memoryview], object]  # takes a block; it must not keep it
Report = Callable[[int], None]  # called with how many bytes have been read


class _Block:
    """A buffer, how much of it is filled, and how many sinks still need it."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(BLOCK))
        self.filled = 0
        self.users = 0


class _Round:
    """The buffers' way: free, filled, used by every sink, free again."""

    def __init__(self) -> None:
        # None in `free` wakes the reader: a sink has failed, and `failure` says how.
        self.free: SimpleQueue[_Block | None] = SimpleQueue()
        self.failure: BaseException | None = None
        self._lock = threading.Lock()
        for _ in range(BLOCKS):
            self.free.put(_Block())

    def give_back(self, block: _Block) -> None:
        with self._lock:
            block.users -= 1
            unused = block.users == 0
        if unused:
            self.free.put(block)

    def fail(self, error: BaseException) -> None:
        with self._lock:
            self.failure = self.failure or error
        self.free.put(None)

    def drain(self, filled: "SimpleQueue[_Block | None]", sink: Sink) -> None:
        """Feed `sink` until the end mark comes; the body of a sink's thread."""
        try:
            while (block := filled.get()) is not None:
                sink(block.buffer[: block.filled])
                self.give_back(block)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that pumps
            self.fail(error)


def pump(fill: Fill, sinks: Sequence[Sink], report: Report) -> int:
    """Read with `fill` until it returns 0, give every block to every sink, return the bytes read.

    What a sink raises is raised here, and so is what a signal handler raises; in every case no
    thread is left when this returns. `report` is called in the caller's thread after each block.
    """
    round_trip = _Round()
    lanes: list[SimpleQueue[_Block | None]] = [SimpleQueue() for _ in sinks]
    threads = [
        threading.Thread(target=round_trip.drain, args=(lane, sink), daemon=True)
        for lane, sink in zip(lanes, sinks, strict=True)
    ]
    total = 0
    started = []
    try:
        for thread in threads:
            thread.start()
            started.append(thread)
        while (block := round_trip.free.get()) is not None:
            block.filled = fill(block.buffer)
            if block.filled == 0:
                break
            total += block.filled
            block.users = len(lanes)
            for lane in lanes:
                lane.put(block)
            report(total)
    finally:
        for lane in lanes:
            lane.put(None)
        for thread in started:
            thread.join()
    if round_trip.failure is not None:
        raise round_trip.failure
    return total
