"""Reads and writes the files of a URL through the program `transfer`, which runs in a process of its own. Every call
ends: after `patience` seconds without an answer of the server, and in any case after ten times as long."""

import json
import os
import posix
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader, BufferedWriter, FileIO
from pathlib import Path
from typing import Any

from serialize.errors import ArtifactError, StoreError

PATIENCE_SECONDS = 30.0
_TOTAL = 10
_COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("transfer.py")))


def read_files(
    url: str, names: Sequence[str], limit: int, *, optional: Sequence[str] = (), patience: float = PATIENCE_SECONDS
) -> dict[str, bytes | None]:
    """The content of these files of a URL, None for one that is missing. One that is `optional` also counts as missing
    if the server denies access to it. Raises StoreError, and ArtifactError if they have more than `limit` bytes
    together."""
    wanted = [*names, *optional]
    request = {"action": "read", "names": wanted, "optional": optional, "limit": limit}
    files: dict[str, bytes | None] = {}
    with _transfer(url, request, patience) as child:
        child.stdin.close()
        for name in wanted:
            header = child.stdout.readline()
            if not header:
                break
            size = json.loads(header)["size"]
            files[name] = None if size is None else child.stdout.read(size)
    if len(files) < len(wanted):
        raise _unanswered(url)
    return files


def write_files(url: str, files: Mapping[str, bytes | None], *, patience: float = PATIENCE_SECONDS) -> None:
    """Writes files to a URL in this order; None removes a file. Raises StoreError."""
    sizes = [(name, None if content is None else len(content)) for name, content in files.items()]
    with _transfer(url, {"action": "write", "files": sizes}, patience) as child:
        for content in files.values():
            child.stdin.write(content or b"")
        child.stdin.close()


class _Child:
    """The running program, with its streams. It is started by `posix`, because gevent patches `subprocess` and `os`:
    then they start programs in the main thread only, and a worker reads models in another one."""

    def __init__(self) -> None:
        (their_in, stdin), (stdout, their_out), (stderr, their_err) = (os.pipe() for _ in range(3))
        self.stdin = BufferedWriter(FileIO(stdin, "w"))
        self.stdout, self.stderr = BufferedReader(FileIO(stdout)), BufferedReader(FileIO(stderr))
        theirs = [FileIO(their_in), FileIO(their_out, "w"), FileIO(their_err, "w")]
        streams = [(os.POSIX_SPAWN_DUP2, end.fileno(), number) for number, end in enumerate(theirs)]
        environment = os.environ  # noqa: TID251 - passed on, not read
        self._process = posix.posix_spawn(
            _COMMAND[0], _COMMAND, environment, file_actions=streams, setsigmask=(), setsigdef=(signal.SIGPIPE,)
        )
        for end in theirs:
            end.close()

    def kill(self) -> None:
        """Ends the program at once."""
        with suppress(ProcessLookupError):
            os.kill(self._process, signal.SIGKILL)

    def wait(self) -> int | None:
        """Closes the streams and waits for the end. Returns the exit status, or minus the signal; None if the event
        loop has taken it."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()
        self.stderr.close()
        try:
            return os.waitstatus_to_exitcode(posix.waitpid(self._process, 0)[1])
        except ChildProcessError:
            return None


@contextmanager
def _transfer(url: str, request: Mapping[str, Any], patience: float) -> Iterator[_Child]:
    """The running program, which has its request. Raises ArtifactError if it does not succeed: StoreError unless it
    met too many bytes."""
    seconds = _TOTAL * patience
    line = json.dumps({"url": url, "patience": patience, "seconds": seconds, **request}).encode() + b"\n"
    child, told = _Child(), b""
    try:
        with suppress(BrokenPipeError):  # the program has ended before it read everything, and says why
            child.stdin.write(line)
            yield child
        told = child.stderr.read()
    except BaseException:  # such as Ctrl-C, which the program would not notice while it waits for the server
        child.kill()
        raise
    finally:
        status = child.wait()
    if error := _error(told):
        raise (ArtifactError if error["is_too_large"] else StoreError)(error["sentence"])
    if status == -signal.SIGALRM:
        raise StoreError(f"The transfer of {url} took more than {seconds:.0f} s; try again with a faster network.")
    if status:
        raise _unanswered(url)


def _error(told: bytes) -> dict[str, Any] | None:
    """The error that the program told. Where it ended otherwise, as when obstore is not installed, there is none."""
    try:
        error = json.loads(told.splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return error if isinstance(error, dict) else None


def _unanswered(url: str) -> StoreError:
    return StoreError(
        f"The program that reads {url} ended without an answer; install the libraries of requirements.txt."
    )
