"""Standard error that is a pipe: no line waits for a reader, lines keep their order, and lost lines are counted."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest

from syncd.log_queue import LogQueue
from tests.support.command import events_in
from tests.support.polling import wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fills pipes as Linux has them")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def _fill(descriptor: int) -> int:
    """Write until it would wait; returns how much."""
    os.set_blocking(descriptor, False)
    filled = 0
    try:
        while True:
            filled += os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(descriptor, True)
        return filled


def _read(descriptor: int, amount: int) -> bytes:
    found = b""
    while len(found) < amount:
        found += os.read(descriptor, amount - len(found))
    return found


def _read_to_end(descriptor: int) -> list[str]:
    with os.fdopen(descriptor, "rb") as reader:
        return reader.read().decode().splitlines()


def _writing(queue: LogQueue, *lines: str) -> None:
    for line in lines:
        assert queue.write(f"{line}\n".encode()) == len(line) + 1


def test_lines_of_a_stuck_reader_arrive_in_order_once_it_reads(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    filled = _fill(writing)
    queue = LogQueue(writing)
    lines = [str(number) for number in range(5000)]
    _writing(queue, *lines)
    assert not queue.drain(0.05)
    assert set(_read(reading, filled)) == {ord("x")}
    assert _read(reading, sum(len(line) + 1 for line in lines)).decode().splitlines() == lines
    assert queue.drain()


def test_lines_beyond_the_limit_are_dropped_counted_and_reported_in_their_place(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    filled = _fill(writing)
    queue = LogQueue(writing, most_lines=10)
    queue.on_dropped = lambda lines: queue.write(f"{lines} dropped\n".encode())
    _writing(queue, "first")
    wait_until(lambda: not queue._waiting)  # noqa: SLF001 - it is with the writer now, which waits
    _writing(queue, *(str(number) for number in range(25)))
    _read(reading, filled)
    assert queue.drain()
    _writing(queue, "afterwards")
    assert queue.drain()
    os.close(writing)
    assert _read_to_end(os.dup(reading)) == ["first", *map(str, range(10)), "15 dropped", "afterwards"]


def test_number_of_dropped_lines_is_said_even_if_no_line_follows(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    filled = _fill(writing)
    queue = LogQueue(writing, most_lines=2)
    said: list[int] = []
    queue.on_dropped = said.append
    _writing(queue, *"abcdefgh")
    _read(reading, filled)
    assert queue.drain()
    # The writer may have taken one before the queue was full.
    assert sum(said) in {5, 6}
    assert len(said) == 1


def test_slow_reader_meets_few_gaps(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    queue = LogQueue(writing, most_lines=100)
    said: list[int] = []
    queue.on_dropped = said.append
    found: list[str] = []
    reader = Thread(target=lambda: found.extend(_read_to_end(os.dup(reading))))
    reader.start()
    lines = [f"{number} {'y' * 500}" for number in range(20_000)]
    _writing(queue, *lines)
    assert queue.drain(30)
    os.close(writing)
    reader.join()
    assert len(found) + sum(said) == len(lines)
    assert [line for line in lines if line in set(found)] == found
    assert len(said) <= len(lines) // 50


def test_reader_that_has_left_holds_up_nothing(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.close(reading)
    queue = LogQueue(writing)
    _writing(queue, "one", "two")
    assert queue.drain()


def test_descriptor_that_another_process_has_made_non_blocking_loses_no_line() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        queue = LogQueue(ours.fileno())
        lines = [f"{number} {'z' * 1000}" for number in range(2000)]
        _writing(queue, *lines)
        expected = "".join(f"{line}\n" for line in lines).encode()
        assert _read(theirs.fileno(), len(expected)) == expected
        assert queue.drain()


@pytest.mark.parametrize("target", ["pipe", "file"])
def test_everything_said_is_there_at_the_end_of_a_process(target: str, tmp_path: object) -> None:
    program = "import sys; from syncd.__main__ import main; sys.argv = ['syncd', 'snyc']; main()"
    if target == "pipe":
        said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert "No such command" in said.stderr
    else:
        with open(f"{tmp_path}/said", "w+", encoding="utf-8") as file:  # noqa: PTH123
            said = subprocess.run([sys.executable, "-c", program], stderr=file, text=True, check=False)
            file.seek(0)
            assert "No such command" in file.read()
    assert said.returncode == 2


def test_dropped_lines_are_counted_in_a_line_of_the_log() -> None:
    program = """
import os, sys
from syncd import log_queue, logs
queue = log_queue.LogQueue(2, most_lines=5)
queue.on_dropped = logs.note_dropped
sys.stderr = log_queue.TextIOWrapper(queue, encoding="utf-8", write_through=True)
log = logs.set_up("json", "error")
for number in range(100):
    log.error("daemon_failed", number=number)
print(flush=True)
sys.stdin.read()
queue.drain()
"""
    reading, writing = os.pipe()
    filled = _fill(writing)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writing
    )
    os.close(writing)
    assert process.stdout is not None
    assert process.stdin is not None
    process.stdout.readline()
    process.stdin.close()
    _read(reading, filled)
    events = events_in("\n".join(_read_to_end(reading)))
    process.stdout.close()
    assert process.wait(60) == 0
    (dropped,) = (event for event in events if event["event"] == "log_lines_dropped")
    assert (dropped["level"], dropped["lines"]) == ("error", 100 - (len(events) - 1))
    assert [event["number"] for event in events if event is not dropped] == list(range(len(events) - 1))
