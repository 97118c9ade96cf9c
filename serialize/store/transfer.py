"""The program that reads and writes an object store. It is run by the path of its file, in a process of its own:
obstore cannot be used before a fork, and `python -m` would import all of serialize.

Standard input holds a request, one line of JSON, and then the bytes of the files to write. Standard output gets for
each file to read a line of JSON with its size, or null if it is missing, and then its bytes. An error is the last line
of standard error, as JSON: a sentence without any secret, and whether there were too many bytes. SIGALRM ends the
process when its time is up."""

import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

import obstore
from obstore.exceptions import PermissionDeniedError, UnauthenticatedError
from obstore.store import HTTPStore, LocalStore, from_url

_CHUNK = 1024 * 1024
_VARIABLES = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}
_STATUS = re.compile(r"status code: (\d{3})")
_NO_BUCKET = re.compile("NoSuchBucket|ContainerNotFound")
_REASONS = (  # a part of obstore's message, and what it means
    ("NoSuchBucket", "there is no such bucket; create it or correct the URL"),
    ("ContainerNotFound", "there is no such container; create it or correct the URL"),
    ("Account must be specified", "the account is not known; set AZURE_STORAGE_ACCOUNT_NAME"),
    ("169.254.169.254", "there are no credentials; set {variables}_ variables with them"),
    ("metadata.google.internal", "there are no credentials; set {variables}_ variables with them"),
    (
        "error following redirect",
        "the server redirects to a URL that is not followed; give the URL that it redirects to, with https",
    ),
    ("builder error", "the endpoint is not https; use https, or set {variables}_ALLOW_HTTP=true in a private network"),
    ("InvalidCertificate", "the certificate of the server is not trusted; set SSL_CERT_FILE to that of its authority"),
    ("error sending request", "the server cannot be reached, or does not answer; check the URL and the network"),
    ("Permission denied", "this user has no right to it; change the rights of the folder"),
    ("Unable to canonicalize", "there is no such folder; correct the URL"),
)


class _TooLarge(Exception):
    """More bytes than the request allows."""


def main() -> None:
    """Answers the request on standard input. Ends with status 1 after an error."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # such as gunicorn's listening sockets, which would stay open
    request = json.loads(sys.stdin.buffer.readline())
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    url, writes = request["url"], request["action"] == "write"
    otherwise = "the store does not accept this URL; correct it"
    try:
        store = open_store(url, request["patience"], make=writes)
        otherwise = "the transfer broke off; try again later"
        if writes:
            _write(store, request["files"])
        else:
            _read(store, request["names"], request["optional"], request["limit"])
    except _TooLarge:
        _refuse(
            f"{url} holds more bytes than MODEL_MAX_BYTES allows; raise it if the model is really so large.",
            is_too_large=True,
        )
    except Exception as error:  # noqa: BLE001 - obstore's messages may hold credentials, so none leaves this process
        _refuse(f"{url} cannot be {'written' if writes else 'read'}: {reason(error, variables(url)) or otherwise}.")


def open_store(url: str, patience: float, *, make: bool) -> Any:
    """The store of a URL. A server that gives no answer for `patience` seconds is an error. `make` makes the folder of
    a file:// URL."""
    if url.startswith("file:"):
        return LocalStore.from_url(url, mkdir=make)
    # Without `allow_http` the client follows no redirect from https to http either. A request as a whole may take long,
    # because files are large; `read_timeout` ends one of which nothing more arrives.
    client: Any = {
        "allow_http": False,
        "connect_timeout": timedelta(seconds=patience / 6),
        "read_timeout": timedelta(seconds=patience / 3),
        "timeout": timedelta(days=1),
    }
    retry: Any = {"retry_timeout": timedelta(seconds=patience * 2 / 3)}
    if url.startswith("https:"):
        return HTTPStore.from_url(url, client_options=client, retry_config=retry)
    client["allow_http"] = os.environ.get(f"{variables(url)}_ALLOW_HTTP", "").lower() in ("1", "true")
    return from_url(url, client_options=client, retry_config=retry)


def _read(store: Any, names: Sequence[str], optional: Sequence[str], limit: int) -> None:
    for name in names:
        found = _found(store, name, may_be_denied=name in optional)
        if found is None:
            _tell({"size": None})
            continue
        size = found.meta["size"]
        limit -= size
        if limit < 0:
            raise _TooLarge
        _tell({"size": size})
        for chunk in found.stream(min_chunk_size=_CHUNK):
            size -= len(chunk)
            if size < 0:
                raise _TooLarge
            sys.stdout.buffer.write(chunk)
        if size:
            raise EOFError


def _found(store: Any, name: str, *, may_be_denied: bool) -> Any:
    """What obstore gives for an object, or None if there is none."""
    try:
        return obstore.get(store, name)
    except FileNotFoundError as error:
        if _NO_BUCKET.search(str(error)):
            raise
        return None
    except PermissionDeniedError:
        if may_be_denied:  # Amazon S3 answers 403 for a missing object if the caller may not list the bucket.
            return None
        raise


def _write(store: Any, files: Sequence[tuple[str, int | None]]) -> None:
    """Writes files in this order. One without a size is removed if it is there."""
    for name, size in files:
        if size is not None:
            obstore.put(store, name, sys.stdin.buffer.read(size))
        elif _found(store, name, may_be_denied=True) is not None:
            obstore.delete(store, name)


def variables(url: str) -> str:
    """What the names of the environment variables of this kind of store begin with."""
    return _VARIABLES.get(url.partition(":")[0], "")


def reason(error: Exception, prefix: str) -> str | None:
    """What is wrong and what to do, if that is known. It has no part of the error's message except the status."""
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        credentials = f"the credentials in the {prefix}_ variables and " if prefix else ""
        return f"the server refuses access; check {credentials}the rights to this folder"
    text = str(error)
    for part, known in _REASONS:
        if part in text:
            return known.format(variables=prefix)
    if status := _STATUS.search(text):
        return f"the server answered with the status {status[1]}; check the URL, and try again later"
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket or folder; create it or correct the URL"
    return None


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")


def _refuse(sentence: str, *, is_too_large: bool = False) -> NoReturn:
    # A file may have been sent in part, so the error goes to the other stream.
    sys.stderr.write(json.dumps({"sentence": sentence, "is_too_large": is_too_large}) + "\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
