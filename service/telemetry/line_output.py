"""Lines on standard output that nobody waits for. What the reader does not take at once is queued, up to a limit; lines
beyond it are dropped, counted, and reported when the output flows again."""

import os
import socket
import stat
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from gevent import monkey

from service.batching import native_lock, run_in_background

# For each process; about 16,000 lines of requests.
MAX_QUEUED_BYTES = 4 * 1024 * 1024
_TICK_SECONDS = 1.0
_RETRY_SECONDS = 0.01

Write = Callable[[bytes], int]


class LineOutput:
    """Writes lines whole and in order. `write` sends bytes as far as they go at once, returns their number, and raises
    BlockingIOError if none do. `notice` makes the line that reports a number of dropped lines. `on_drop` is called for
    each line that is dropped."""

    def __init__(self, write: Write, notice: Callable[[int], bytes]) -> None:
        self.on_drop: Callable[[], None] = lambda: None
        self._write = write
        self._notice = notice
        # Greenlets, native threads and signal handlers add lines here. All else belongs to the holder of the lock.
        self._arrived: deque[bytes] = deque()
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Begins with nothing queued. After a fork the parent writes what was queued before."""
        self._arrived.clear()
        self._lock = native_lock()
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._dropped = 0  # and not reported yet

    def add(self, line: bytes) -> None:
        """Writes a line, queues it or drops it. It never waits."""
        self._arrived.append(line)
        self.drain()

    def drain(self) -> bool:
        """Writes what is queued, as far as it goes without waiting. Returns whether all is written."""
        # Whoever finds the lock taken leaves its line to the holder, who looks for lines again after the release.
        while (self._arrived or self._queue) and self._lock.acquire(False):
            try:
                flows = self._write_all()
            finally:
                self._lock.release()
            if not flows and not self._arrived:
                break
        return not (self._arrived or self._queue)

    def finish(self, seconds: float) -> None:
        """Waits until all is written, for so many seconds at most."""
        deadline = time.monotonic() + seconds
        while not self.drain() and time.monotonic() < deadline:
            time.sleep(_RETRY_SECONDS)

    def keep_flowing(self) -> None:
        """Starts to write queued lines in the background of this process, also while no new ones are added."""
        run_in_background(partial(self._keep_flowing, os.getpid()))

    def _keep_flowing(self, process: int) -> None:
        while os.getpid() == process:  # a process that is forked from this one has a copy of the greenlet
            time.sleep(_TICK_SECONDS)
            self.finish(_TICK_SECONDS)

    def _write_all(self) -> bool:
        """Writes the queue, then the new lines. Returns False if the output takes no more now. A line that cannot be
        written (full disk, closed pipe) is lost."""
        flows = self._write_queue() if self._queue or self._dropped else True
        while self._arrived:
            line = self._arrived.popleft()
            if flows:
                try:
                    flows = self._send(line)
                except OSError:
                    self._drop()
            elif not self._dropped and self._queued_bytes + len(line) <= MAX_QUEUED_BYTES:
                self._queue.append(line)
                self._queued_bytes += len(line)
            else:  # and so all later ones until the queue is empty: one notice reports all, in the place of the gap
                self._drop()
        return flows

    def _write_queue(self) -> bool:
        """Writes the queue, then the notice of dropped lines."""
        while self._queue:
            line = self._queue.popleft()
            self._queued_bytes -= len(line)
            try:
                if not self._send(line):
                    return False
            except OSError:
                self._drop()
        dropped, self._dropped = self._dropped, 0
        try:
            return not dropped or self._send(self._notice(dropped))
        except OSError:
            self._dropped = dropped
            return True

    def _send(self, line: bytes) -> bool:
        """Writes a line and returns True, or queues what is left of it as the next and returns False."""
        try:
            sent = self._write(line)
        except BlockingIOError:
            sent = 0
        if sent == len(line):
            return True
        self._queue.appendleft(line[sent:])
        self._queued_bytes += len(line) - sent
        return False

    def _drop(self) -> None:
        self._dropped += 1
        self.on_drop()


def unblocked(descriptor: int) -> Write:
    """A function that writes to an open descriptor without waiting. Other processes that share the descriptor, such as
    the shell, keep a blocking one, except for a pipe that cannot be opened again."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        connection: socket.socket = monkey.get_original("socket", "socket")(fileno=os.dup(descriptor))
        return lambda line: connection.send(line, socket.MSG_DONTWAIT)
    if stat.S_ISFIFO(mode) or os.isatty(descriptor):
        descriptor = _opened_again(descriptor, stat.S_ISFIFO(mode))
    # A file takes every line at once. It keeps its descriptor, whose position standard error may share.
    return partial(os.write, descriptor)


def _opened_again(descriptor: int, is_pipe: bool) -> int:
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # no /proc, or another user's
        if is_pipe:
            os.set_blocking(descriptor, False)
        return descriptor
