"""Progress is shown only for long jobs: as lines, or as a bar in a terminal."""

import io

import pytest

from serialize.display import progress
from serialize.display.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time in seconds, which a test sets."""
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def test_a_long_job_gives_at_most_one_line_a_second(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as shown:
        shown.stage("Reading")
        clock[0] = 1.5
        shown.stage("Fitting, fold", 5)
        clock[0] = 2.0
        shown.advance()
        clock[0] = 3.0
        shown.advance(2)
        clock[0] = 4.0
        shown.advance(2)
        clock[0] = 5.0
        shown.stage("Scoring, fold")
        clock[0] = 6.0
        shown.advance()

    assert capsys.readouterr() == (
        "",
        "Fitting, fold 0 of 5\nFitting, fold 3 of 5\nFitting, fold 5 of 5\nScoring, fold\nScoring, fold 1\n",
    )


def test_a_short_job_shows_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    with Progress() as shown:
        shown.stage("Reading")
        clock[0] = 0.9
        shown.stage("Fitting, fold", 5)

    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_bar(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")

    with Progress() as shown:
        clock[0] = 2.0
        shown.stage("Fitting [/x]", 5)
        shown.advance()

    assert "Fitting [/x]" in terminal.getvalue()
