"""Lines are written whole, in order and once; nobody waits for the reader; what is dropped is counted and reported."""

import os
import pty
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from service.telemetry.line_output import MAX_QUEUED_BYTES, LineOutput, unblocked
from tests.support.waiting import until


class Reader:
    """An output that takes `room` bytes, then nothing until it gets more room. It raises `error` if it is set."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.error: OSError | None = None
        self._taken: list[bytes] = []

    @property
    def read(self) -> bytes:
        """All that it took."""
        return b"".join(self._taken)

    def write(self, line: bytes) -> int:
        """Takes what fits."""
        if self.error is not None:
            raise self.error
        taken = line[: self.room]
        if not taken:
            raise BlockingIOError
        self.room -= len(taken)
        self._taken.append(taken)
        return len(taken)


def made(write: Callable[[bytes], int]) -> tuple[LineOutput, list[None]]:
    """An output and the list of its calls of `on_drop`."""
    output, drops = LineOutput(write, lambda lines: b"dropped %d\n" % lines), list[None]()
    output.on_drop = lambda: drops.append(None)
    return output, drops


def test_a_line_goes_out_at_once_in_one_call() -> None:
    calls: list[bytes] = []

    def write(line: bytes) -> int:
        calls.append(line)
        return len(line)

    output, _ = made(write)

    output.add(b"one\n")
    output.add(b"two\n")

    assert calls == [b"one\n", b"two\n"]


def test_lines_that_wait_come_out_whole_and_in_order() -> None:
    reader = Reader(6)
    output, drops = made(reader.write)
    for line in (b"first\n", b"second\n", b"third\n"):
        output.add(line)
    assert reader.read == b"first\n"

    reader.room = 3
    assert not output.drain()
    reader.room = 1000
    output.add(b"fourth\n")

    assert reader.read == b"first\nsecond\nthird\nfourth\n"
    assert output.drain()
    assert not drops


def test_what_is_over_the_limit_is_counted_and_reported_where_it_is_missing() -> None:
    reader = Reader(0)
    output, drops = made(reader.write)
    line = b"x" * 1023 + b"\n"
    most = MAX_QUEUED_BYTES // len(line)
    for _ in range(most + 5):
        output.add(line)
    output.add(b"also dropped\n")
    assert len(drops) == 6

    reader.room = MAX_QUEUED_BYTES + 1000
    output.drain()
    output.add(b"next\n")

    assert reader.read == line * most + b"dropped 6\nnext\n"


def test_a_notice_that_does_not_fit_waits_too() -> None:
    reader = Reader(0)
    output, _ = made(reader.write)
    output.add(b"x" * MAX_QUEUED_BYTES)
    output.add(b"dropped\n")

    reader.room = MAX_QUEUED_BYTES + 4
    output.add(b"next\n")
    reader.room = 100
    output.drain()

    assert reader.read[MAX_QUEUED_BYTES:] == b"dropped 1\nnext\n"


def test_a_line_that_cannot_be_written_is_dropped_and_reported_later() -> None:
    reader = Reader(1000)
    output, drops = made(reader.write)
    reader.error = BrokenPipeError()
    output.add(b"lost\n")
    output.add(b"lost\n")
    assert reader.read == b""

    reader.error = None
    output.add(b"kept\n")

    assert reader.read == b"dropped 2\nkept\n"
    assert len(drops) == 2


def test_a_line_that_comes_while_another_is_written_is_left_to_its_writer() -> None:
    reader = Reader(1000)

    def write(line: bytes) -> int:
        if line == b"outer\n":  # as a signal handler or another thread would
            output.add(b"inner\n")
        return reader.write(line)

    output, _ = made(write)
    output.add(b"outer\n")

    assert reader.read == b"outer\ninner\n"


def test_threads_lose_and_repeat_no_line() -> None:
    reading, writing = os.pipe()
    output, drops = made(unblocked(writing))
    received: list[bytes] = []

    def read() -> None:
        while chunk := os.read(reading, 4096):
            received.append(chunk)

    def write(thread: int) -> None:
        for i in range(5000):
            output.add(b"%d %d\n" % (thread, i))

    threads = [threading.Thread(target=write, args=(i,)) for i in range(4)]
    reader = threading.Thread(target=read)
    for each in (reader, *threads):
        each.start()
    for each in threads:
        each.join()
    output.finish(60)
    close(output, writing)
    reader.join()
    os.close(reading)

    lines = [tuple(map(int, line.split())) for line in b"".join(received).splitlines()]
    assert not drops
    for thread in range(4):
        assert [i for of, i in lines if of == thread] == list(range(5000))


def close(output: LineOutput, writing: int) -> None:
    """Closes both descriptors of a pipe that is written to."""
    os.close(output._write.args[0])  # type: ignore[attr-defined]
    os.close(writing)


def test_a_forked_process_does_not_repeat_what_its_parent_has_queued() -> None:
    reader = Reader(0)
    output, _ = made(reader.write)
    output.add(b"of the parent\n")

    child = os.fork()
    if child == 0:
        os._exit(0 if output.drain() else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not output.drain()


def filled(descriptor: int, write: Callable[[bytes], int]) -> int:
    """Writes until nothing more goes, and returns the number of bytes. It fails if a call waits."""
    total, line = 0, b"x" * 99 + b"\n"
    with suppress(BlockingIOError):
        while True:
            total += write(line)
    assert os.get_blocking(descriptor)  # for all others who write to it
    return total


def test_a_full_pipe_is_not_waited_for_and_stays_as_it_is_for_others() -> None:
    reading, writing = os.pipe()

    assert filled(writing, unblocked(writing)) > 0

    for each in (reading, writing):
        os.close(each)


def test_a_stopped_terminal_is_not_waited_for() -> None:
    controlling, terminal = pty.openpty()

    assert filled(terminal, unblocked(terminal)) > 0

    for each in (controlling, terminal):
        os.close(each)


@pytest.mark.filterwarnings("ignore:unclosed")  # the service never closes its output
def test_a_full_socket_is_not_waited_for() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert filled(one.fileno(), unblocked(one.fileno())) > 0


def test_a_pipe_that_cannot_be_opened_again_gets_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError

    reading, writing = os.pipe()
    monkeypatch.setattr(os, "open", refuse)

    unblocked(writing)

    assert not os.get_blocking(writing)
    for each in (reading, writing):
        os.close(each)


def test_a_file_keeps_its_descriptor_and_position(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb", buffering=0) as file:
        write = unblocked(file.fileno())
        file.write(b"one\n")
        write(b"two\n")
        file.write(b"three\n")

    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nthree\n"


def test_queued_lines_flow_without_new_ones() -> None:
    reader = Reader(0)
    output, _ = made(reader.write)
    output.keep_flowing()
    output.add(b"late\n")

    reader.room = 100

    until(lambda: reader.read == b"late\n")
