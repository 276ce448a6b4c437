"""Bytes from one source to several sinks, and nothing left running when one of them fails."""

import io
import threading

import pytest

from vtspolicy.runner.disk.pump import BLOCK, BLOCKS, pump


def silent(_done):
    pass


@pytest.fixture
def no_thread_is_left():
    """Of those that begin meanwhile; what other tests began may end whenever it likes."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def test_every_sink_gets_every_byte_in_order():
    content = bytes(range(256)) * (BLOCK // 256 * 3) + b"the end"
    first, second = io.BytesIO(), io.BytesIO()
    total = pump(io.BytesIO(content).readinto, [first.write, second.write], silent)
    assert total == len(content)
    assert first.getvalue() == second.getvalue() == content


def test_progress_is_reported_after_each_block():
    told = []
    pump(io.BytesIO(bytes(BLOCK + 1)).readinto, [len], told.append)
    assert told == [BLOCK, BLOCK + 1]


def test_the_memory_is_the_same_for_a_source_a_hundred_times_the_buffers():
    buffers = set()
    left = BLOCKS * 100

    def fill(buffer):
        nonlocal left
        left -= 1
        buffers.add(id(buffer.obj))
        return len(buffer) if left else 0

    pump(fill, [len, len], silent)
    assert len(buffers) <= BLOCKS


@pytest.mark.usefixtures("no_thread_is_left")
def test_a_sink_that_fails_stops_the_reading_and_is_heard():
    blocks = 0

    def fill(buffer):
        nonlocal blocks
        blocks += 1
        return len(buffer)  # for ever

    def full(_block):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        pump(fill, [len, full], silent)
    assert blocks <= 2 * BLOCKS


def test_a_sink_that_fails_on_the_last_block_is_heard():
    def full(_block):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        pump(io.BytesIO(b"one block").readinto, [full], silent)


@pytest.mark.usefixtures("no_thread_is_left")
@pytest.mark.parametrize("where", ["fill", "report"])
def test_what_the_reader_raises_leaves_no_thread(where):
    def broken(_argument):
        raise KeyboardInterrupt

    fill = broken if where == "fill" else io.BytesIO(b"x").readinto
    with pytest.raises(KeyboardInterrupt):
        pump(fill, [len], broken)
