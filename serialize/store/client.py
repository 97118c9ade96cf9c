"""Reads and writes the files of a URL through the program `transfer`, which runs in a process of its own. Every call
ends: after `patience` seconds without an answer of the server, and in any case after ten times as long."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from serialize.errors import ArtifactError, StoreError

PATIENCE_SECONDS = 30.0
_TOO_LARGE = 3  # the status of the program after too many bytes
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
    return files


def write_files(url: str, files: Mapping[str, bytes | None], *, patience: float = PATIENCE_SECONDS) -> None:
    """Writes files to a URL in this order; None removes a file. Raises StoreError."""
    sizes = [(name, None if content is None else len(content)) for name, content in files.items()]
    with _transfer(url, {"action": "write", "files": sizes}, patience) as child:
        for content in files.values():
            child.stdin.write(content or b"")
        child.stdin.close()


@contextmanager
def _transfer(url: str, request: Mapping[str, Any], patience: float) -> Iterator[Any]:
    """The running program, which has its request. Raises ArtifactError if it does not succeed: StoreError unless it
    met too many bytes."""
    seconds = _TOTAL * patience
    line = json.dumps({"url": url, "patience": patience, "seconds": seconds, **request}).encode() + b"\n"
    pipe = subprocess.PIPE
    told = b""
    # A broken pipe: the program has ended before it read everything, and says why on standard error.
    with suppress(BrokenPipeError), subprocess.Popen(_COMMAND, stdin=pipe, stdout=pipe, stderr=pipe) as child:
        assert child.stdin is not None
        assert child.stderr is not None
        try:
            child.stdin.write(line)
            yield child
        except BrokenPipeError:
            pass
        except BaseException:  # such as Ctrl-C, which the program would not notice while it waits for the server
            child.kill()
            raise
        told = child.stderr.read()
    if child.returncode == -signal.SIGALRM:
        raise StoreError(f"The transfer of {url} took more than {seconds:.0f} s; try again with a faster network.")
    if child.returncode:
        raise (ArtifactError if child.returncode == _TOO_LARGE else StoreError)(_sentence(url, told))


def _sentence(url: str, told: bytes) -> str:
    """The error that the program told. Where it ended otherwise, as when obstore is not installed, there is none."""
    try:
        return str(json.loads(told.splitlines()[-1]))
    except (IndexError, ValueError):
        return f"The program that reads {url} ended without an answer; install the libraries of requirements.txt."
