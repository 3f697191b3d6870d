"""Time for many threads, which passes only while all of them wait: half an hour of calls is over in seconds."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event, Lock, Thread, current_thread, main_thread
from threading import enumerate as enumerate_threads
from typing import TypeVar

_Step = TypeVar("_Step")


class PassingTime:
    """A clock, and the waits of those who go by it.

    Whatever the threads that send do between two waits takes no time.
    """

    def __init__(self, now: datetime = datetime(2026, 1, 15, 12, tzinfo=UTC)) -> None:
        self.now = now
        self._lock = Lock()
        self._sleepers: list[tuple[datetime, int, Thread, Event]] = []
        self._order = count()
        self._is_busy: dict[Thread, bool] = {}
        self._is_queueing = False

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> bool:
        """Wait so long; false, as nobody is ever told to stop."""
        if seconds <= 0:
            return False
        woken = Event()
        with self._lock:
            entry = (self.now + timedelta(seconds=seconds), next(self._order), current_thread(), woken)
            heapq.heappush(self._sleepers, entry)
        self.wait_for(woken)
        return False

    def wait_for(self, event: Event) -> None:
        """Wait until somebody else sets it, who is to call `wakes` first."""
        with self._lock:
            if current_thread() is not main_thread():
                self._is_busy[current_thread()] = event.is_set()
            self._pass_if_all_wait()
        # A thread that has ended does not say so.
        while not event.wait(0.05):
            with self._lock:
                self._pass_if_all_wait()

    def while_queued(self, steps: Iterable[_Step], most: int) -> Iterator[_Step]:
        """The steps; time stands still until so many are taken, however long the thread that takes them is kept."""
        with self._lock:
            self._is_queueing = True
        try:
            for number, step in enumerate(steps, 1):
                yield step
                if number == most:
                    with self._lock:
                        self._is_queueing = False
        finally:
            with self._lock:
                self._is_queueing = False

    def wakes(self, thread: Thread) -> None:
        """Say of a thread that it is not going to wait any longer."""
        with self._lock:
            self._is_busy[thread] = True

    def _pass_if_all_wait(self) -> None:
        senders = (thread for thread in enumerate_threads() if thread.name.startswith("send"))
        if not self._sleepers or self._is_queueing or any(self._is_busy.get(thread, True) for thread in senders):
            return
        until, _, thread, woken = heapq.heappop(self._sleepers)
        self.now = max(self.now, until)
        if thread is not main_thread():
            self._is_busy[thread] = True
        woken.set()


class Line:
    """A lock that is handed on in the order in which it was asked for, so that time does not pass in between."""

    def __init__(self, time: PassingTime) -> None:
        self._time = time
        self._lock = Lock()
        self._is_taken = False
        self._waiting: deque[tuple[Thread, Event]] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = Event()
            self._waiting.append((current_thread(), mine))
        self._time.wait_for(mine)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if not self._waiting:
                self._is_taken = False
                return
            thread, next_ = self._waiting.popleft()
            self._time.wakes(thread)
            next_.set()
