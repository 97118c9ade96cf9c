"""Shows on standard error how far a long job is: as a bar in a terminal, otherwise as lines, at most one a second.
A job of less than a second shows nothing."""

import sys
from time import monotonic
from types import TracebackType
from typing import Any, Self

_QUIET_SECONDS = 1.0


class Progress:
    """The progress of one job, in stages. Use it in a `with` statement."""

    def __init__(self) -> None:
        self._shown = monotonic()
        self._text, self._steps, self._total = "", 0, 0
        self._is_share = False
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def stage(self, text: str, total: int = 0) -> None:
        """Begins a stage of `total` steps; 0 if they are not counted."""
        self._text, self._steps, self._total = text, 0, total
        self._show()

    def at(self, share: float, text: str) -> None:
        """Shows what happens now, and which share of the whole job is done, from 0 to 1."""
        self._text, self._steps, self._total = text, round(100 * share), 100
        self._is_share = True
        self._show()

    def advance(self, steps: int = 1) -> None:
        """Ends steps of the stage."""
        self._steps += steps
        self._show()

    def _show(self) -> None:
        if self._bar is None and monotonic() - self._shown < _QUIET_SECONDS:
            return
        self._shown = monotonic()
        if sys.stderr is not None and sys.stderr.isatty():
            self._draw()
        elif sys.stderr is not None:
            sys.stderr.write(f"{self._text}{self._counted()}\n")
            sys.stderr.flush()

    def _counted(self) -> str:
        if self._is_share:
            return f", {self._steps} %"
        return f" {self._steps} of {self._total}" if self._total else f" {self._steps}" if self._steps else ""

    def _draw(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - a notebook shows lines, and needs no bar
        from rich.markup import escape  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415

        if self._bar is None:
            self._bar = Bar(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("")
        total = self._total or None
        self._bar.update(self._task, description=escape(self._text), completed=self._steps, total=total)
