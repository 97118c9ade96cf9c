"""What the commands for many rows share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from time import monotonic

import click
from peewee import PeeweeException
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from serialize.errors import ArtifactError
from service.errors import ServiceError
from service.settings import SettingsError
from service.storage.connection import DatabaseError


def require_pyarrow() -> None:
    """Raises click.ClickException unless pyarrow is installed."""
    _require("pyarrow", "bulk")


def require_dask() -> None:
    """Raises click.ClickException unless Dask is installed."""
    _require("distributed", "dask")


def _require(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise click.ClickException(
            f"This command needs {package}, which is not installed; run pip install 'prediction-service[{extra}]'."
        )


@contextmanager
def failures() -> Iterator[None]:
    """Turns expected errors into one line on standard error."""
    from service.bulk.files.place_error import PlaceError  # noqa: PLC0415
    from service.bulk.scoring.layout import LayoutError  # noqa: PLC0415 - it needs pyarrow

    try:
        yield
    except (
        PlaceError,
        LayoutError,
        PeeweeException,
        SettingsError,
        DatabaseError,
        ArtifactError,
        ServiceError,
    ) as error:
        raise click.ClickException(" ".join(str(error).split())) from error


@contextmanager
def rows_progress() -> Iterator[Callable[[float, int], None]]:
    """A progress bar with rows/s and the time left, if standard error is a terminal. It yields a function that takes
    the share that is done and the number of rows."""
    console, began = Console(stderr=True), monotonic()
    columns = BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0, speed="")

        def advance(share: float, rows: int) -> None:
            bar.update(task, completed=share, speed=f"{rows / max(monotonic() - began, 1e-3):,.0f} rows/s")

        yield advance
