"""A Dask cluster: connects to its scheduler, and lets joblib fit on its workers."""

import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import joblib

from serialize.errors import ClusterError

PATIENCE_SECONDS = 30
_LIBRARIES = ("numpy", "pandas", "scikit-learn", "onnxruntime")


def require_dask() -> None:
    """Raises ClusterError unless Dask is installed."""
    if find_spec("distributed") is None:
        raise ClusterError(
            "This command needs distributed, which is not installed; run pip install 'prediction-service[dask]'."
        )


def installed_versions() -> dict[str, str]:
    """The versions of Python, and of the libraries that may change an answer."""
    return {"Python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def difference(worker: str, there: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """A sentence about the first version that differs between a worker and this machine; None if none does."""
    for name, installed in there.items():
        if installed != here[name]:
            return f"The worker {worker} has {name} {installed}, and this machine has {here[name]}; install the same."
    return None


@contextmanager
def connected(address: str, versions: Callable[[], dict[str, str]] = installed_versions) -> Iterator[Any]:
    """A client of the scheduler at an address such as tcp://host:8786, on whose workers `versions` tells the same as
    here. Raises ClusterError if the cluster cannot be used."""
    require_dask()
    from distributed import Client  # noqa: PLC0415 - the extra `dask`

    _require_address(address)
    try:
        client = Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(f"The scheduler {address} cannot be reached; is it running?") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
        except TimeoutError as error:
            raise ClusterError(f"The scheduler {address} has no workers; start some.") from error
        _require_same(client, address, versions)
        yield client


@contextmanager
def fitting_on(address: str) -> Iterator[None]:
    """Within the block, joblib runs its tasks on the cluster. Raises ClusterError."""
    with connected(address) as client, joblib.parallel_config("dask", client=client):
        yield


def _require_address(address: str) -> None:
    """Raises ClusterError if Dask cannot use an address. A client with such an address would not close."""
    from distributed.comm.addressing import get_address_host_port, parse_address  # noqa: PLC0415
    from distributed.security import Security  # noqa: PLC0415

    try:
        get_address_host_port(address)
    except ValueError as error:
        raise ClusterError(f"{address} is no address of a scheduler; give one such as tcp://host:8786.") from error
    scheme, _ = parse_address(address)
    if scheme in ("tls", "wss") and Security().get_connection_args("client")["ssl_context"] is None:
        raise ClusterError(f"{address} needs TLS, which Dask does not have here; set distributed.comm.tls.")


def _require_same(client: Any, address: str, versions: Callable[[], dict[str, str]]) -> None:
    here = versions()
    try:
        found: dict[str, dict[str, str]] = client.run(versions)
    except Exception as error:  # of what a worker cannot import, only the text arrives
        raise ClusterError(
            f"A worker of {address} cannot load prediction-service ({error}); install it there, with the extra dask."
        ) from error
    for worker, there in sorted(found.items()):
        if (text := difference(worker, there, here)) is not None:
            raise ClusterError(text)
