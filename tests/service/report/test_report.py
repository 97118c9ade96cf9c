"""The report shows what /performance and /drift say, for an empty log and for a long one, and escapes names from
outside."""

import io
import json
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serialize import dump, load
from serialize.content import Content, read_content
from serialize.frame import observations
from serialize.recipes import RECIPES
from service.__main__ import main
from service.cli import report as report_file
from service.prediction.filter import Selection
from service.prediction.moment import parse_moment
from service.registry.registry import Registry
from service.registry.release import release
from service.report.html import html
from service.report.report import Report
from service.settings import Settings
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.session import Session
from tests.conftest import Client, MakeClient
from tests.service.conftest import KEY
from tests.service.learning.test_watch import BAD, GOOD, label, promoted
from tests.support.logged import START, labelled, logged, write
from tests.support.manifests import rewrite
from tests.support.passengers import ARTIFACTS, PROJECT
from tests.support.served import environment

LOG = {"performance-over-time", "label-delay", "drift-by-column-1"}
CLASSIFIER = {"calibration-curve", "predicted-probabilities", "confusion-matrix", *LOG}
NAMES = {
    "titanic": {"roc-and-precision-recall", *CLASSIFIER},
    "iris": CLASSIFIER,
    "diabetes": {"actual-and-predicted-values", "prediction-errors", "drift-by-column-2", *LOG},
}
EMPTY = "There are no predictions in this selection of the log."
UNLABELLED = "None of these predictions has a label yet."


class Opened(HTMLParser):
    """The charts of a page, its text, and every address in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def fill(client: Client, name: str, rows: int, *, label: bool = True) -> None:
    """Posts and labels so many rows of a recipe."""
    recipe = RECIPES[name]()
    chosen = np.random.default_rng(0).permutation(len(recipe.X))[:rows]
    found = observations(recipe.X.iloc[chosen])
    items = [{"id": i, "observation": each} for i, each in enumerate(found)]
    assert client.post("/predict", json=items).status_code == 200
    if label:
        key = "true_value" if name == "diabetes" else "true_class"
        labels = [{"id": i, key: one} for i, one in enumerate(recipe.y.iloc[chosen].tolist())]
        assert client.post("/update", json=labels).status_code == 200


def made(database_url: str, artifacts: Path = ARTIFACTS, selection: Selection | None = None) -> Report:
    settings = Settings(database_url=database_url, artifacts=str(artifacts))
    return report_file.make(settings, selection or Selection())[0]


def run(database_url: str, *arguments: str, artifacts: Path = ARTIFACTS) -> Result:
    variables = {"DATABASE_URL": database_url, "ARTIFACTS": str(artifacts)}
    return CliRunner().invoke(main, ["report", *arguments], env=variables)


@pytest.fixture
def log(database_url: str) -> Any:
    database = connect(database_url)
    prepare(database)
    with database.connection_context():
        yield database


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 30, 140])
def test_every_task_has_its_charts_from_one_row_on(
    make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path, name: str, rows: int
) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    client = make_client(database_url=url, artifacts=str(artifacts[name]))
    fill(client, name, rows)

    report = made(url, artifacts[name])

    assert {chart.name for chart in report.charts} == NAMES[name]
    missing = {chart.name: chart.missing for chart in report.charts if chart.missing}
    one_class = {"roc-and-precision-recall": "All labels are of one class so far."}
    assert missing == (one_class if (name, rows) == ("titanic", 1) else {})
    for chart in report.charts:
        with Image.open(io.BytesIO(chart.png)) as image:
            assert image.width > 500
        assert len(chart.png) < 100_000


def test_the_figures_are_those_of_performance_and_drift(client: Client, database_url: str) -> None:
    fill(client, "titanic", 200)

    report = made(database_url)

    assert report.performance == client.get("/performance").json
    assert report.drift == client.get("/drift").json


@pytest.mark.parametrize(
    ("metrics", "method", "shown"),
    [({"accuracy": 0.25}, "given", "0.25"), ({"method": "none", "metrics": {}}, "none", "-")],
)
def test_the_training_figures_have_their_method(
    make_client: MakeClient, tmp_path: Path, metrics: dict[str, Any], method: str, shown: str
) -> None:
    folder, url = Path(shutil.copytree(ARTIFACTS, tmp_path / "artifact")), f"sqlite:///{tmp_path}/log.db"
    rewrite(folder, lambda manifest: manifest.update(metrics=metrics))
    client = make_client(database_url=url, artifacts=str(folder))
    fill(client, "titanic", 60)

    ran = run(url, "-o", str(tmp_path / "report.html"), artifacts=folder)

    assert ran.exit_code == 0, ran.output
    assert client.get("/performance").json["training_method"] == method
    assert client.get("/model").json["metrics"]["method"] == method
    page = (tmp_path / "report.html").read_text()
    assert f"in training ({method})" in page
    assert re.search(rf"<td>accuracy</td>.*<td class=\"n\">{re.escape(shown)}</td></tr>", page)
    assert f"in training ({method})" in " ".join(ran.output.split())


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_log_and_one_without_labels_say_so(
    make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path, name: str
) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    client = make_client(database_url=url, artifacts=str(artifacts[name]))

    empty = made(url, artifacts[name])
    fill(client, name, 40, label=False)
    unlabelled = {chart.name: chart.missing for chart in made(url, artifacts[name]).charts}

    assert {chart.missing for chart in empty.charts} == {EMPTY}
    assert {chart.name for chart in empty.charts} >= NAMES[name] - {"drift-by-column-2"}
    without = {"predicted-probabilities", "drift-by-column-1", "drift-by-column-2"} & set(unlabelled)
    assert {unlabelled.pop(name) for name in without} == {None}
    assert set(unlabelled.values()) == {UNLABELLED}


def test_versions_and_times_are_selected(log: Any, database_url: str) -> None:
    old = [labelled(i, model_version="b" * 12) for i in range(40)]
    write(log, *old, *(labelled(i, created_at=START + timedelta(days=9)) for i in range(40, 60)))

    of_version = made(database_url, selection=Selection("b" * 12))
    of_time = made(database_url, selection=Selection(None, parse_moment("2026-01-05"), parse_moment("2026-02-01")))
    later = made(database_url, selection=Selection(since=parse_moment("2026-02-01")))

    assert [one.performance["count"] for one in (of_version, of_time, later)] == [40, 20, 0]
    assert [one.drift["count"] for one in (of_version, of_time, later)] == [40, 20, 0]
    assert {chart.missing for chart in later.charts} == {EMPTY}


def test_centuries_and_many_versions_are_drawn(log: Any, database_url: str) -> None:
    rows = [
        labelled(i, created_at=START - timedelta(days=40 * i), model_version=f"{i % 9:012}", proba=i / 200)
        for i in range(200)
    ]
    write(log, *rows, logged(200, model_version=None))

    (chart,) = [one for one in made(database_url).charts if one.name == "performance-over-time"]

    assert chart.missing is None


@pytest.mark.long
def test_names_and_categories_from_outside_are_text_and_nothing_else(make_client: MakeClient, tmp_path: Path) -> None:
    column, category = "<script>alert('$\\frac{')</script>", '"><img src=x onerror=alert(1)>$x$'
    X = pd.DataFrame({column: [category, "b\n\x1b[31m[red]", "日本語"] * 20, "$y$": np.arange(60.0)})
    y = ["<b>yes</b>", "$no$"] * 30
    encoder = OneHotEncoder(handle_unknown="ignore")
    model = make_pipeline(encoder, LogisticRegression()).fit(X, y)
    dump(model, X, y, tmp_path / "odd", name="<i>odd</i>", categories=[column])
    url = f"sqlite:///{tmp_path}/log.db"
    client = make_client(database_url=url, artifacts=str(tmp_path / "odd"))
    items = [{"id": i, "observation": row} for i, row in enumerate(observations(X))]
    assert client.post("/predict", json=items).status_code == 200
    labels = [{"id": i, "true_class": y[i]} for i in range(60)]
    assert client.post("/update", json=labels).status_code == 200

    result = run(url, "-o", str(tmp_path / "report.html"), artifacts=tmp_path / "odd")

    assert result.exit_code == 0, result.output
    page = Opened((tmp_path / "report.html").read_text())
    assert column in page.text
    assert "<i>odd</i>" in page.text
    assert not {"script", "b", "i", "link", "iframe", "object"} & set(page.tags)
    assert page.tags.count("img") == len([one for one in made(url, tmp_path / "odd").charts if not one.missing])


def test_the_page_fetches_nothing(client: Client, database_url: str, tmp_path: Path) -> None:
    fill(client, "titanic", 60)

    result = run(database_url, "-o", str(tmp_path / "report.html"))

    html = (tmp_path / "report.html").read_text()
    page = Opened(html)
    assert result.exit_code == 0, result.output
    assert len(page.addresses) == 7
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert "default-src 'none'" in html
    assert not re.search(r"@import|url\(|https?://", html)
    assert "accuracy" in result.output
    assert "60 predictions, 60 with a label" in result.output


def test_its_own_report_is_overwritten_and_another_file_is_not(log: Any, database_url: str, tmp_path: Path) -> None:
    report, other = tmp_path / "report.html", tmp_path / "other.html"
    other.write_text("mine")

    codes = [run(database_url, "-o", str(report)).exit_code for _ in range(2)]
    refused = run(database_url, "-o", str(other))
    kept = other.read_text()
    forced = run(database_url, "-o", str(other), "--force")

    assert (codes, refused.exit_code, kept, forced.exit_code) == ([0, 0], 1, "mine", 0)
    assert "--force" in refused.output
    assert other.read_bytes() != b"mine"
    assert sorted(path.name for path in tmp_path.glob("*.html*")) == ["other.html", "report.html"]


def test_the_charts_alone_go_to_a_folder(log: Any, database_url: str, tmp_path: Path) -> None:
    write(log, *(labelled(i, proba=i / 40, observation=json.dumps({"Age": i})) for i in range(40)))

    result = run(database_url, "--png", str(tmp_path / "charts"))

    assert result.exit_code == 0, result.output
    assert {path.stem for path in (tmp_path / "charts").iterdir()} == NAMES["titanic"]
    assert not Path("report.html").exists()


def test_an_empty_report_says_what_to_do(log: Any, database_url: str, tmp_path: Path) -> None:
    empty = run(database_url, "-o", str(tmp_path / "report.html"))
    write(log, *(labelled(i, proba=i / 40) for i in range(40)))
    filled = run(database_url, "-o", str(tmp_path / "report.html"))

    assert (empty.exit_code, filled.exit_code) == (0, 0)
    assert "`python -m service simulate --data FILE --target COLUMN` sends rows of yours" in empty.output
    assert "simulate" not in filled.output


def test_an_error_is_one_line(log: Any, database_url: str) -> None:
    result = run(database_url, "-o", "no/such/folder/report.html")

    assert result.exit_code == 1
    assert "No such file or directory" in result.output
    assert len(result.output.strip().splitlines()) <= 3


def test_a_time_that_is_not_iso_8601_is_a_usage_error() -> None:
    result = run("sqlite:///log.db", "--since", "yesterday")

    assert result.exit_code == 2
    assert "'yesterday' is not a date or a time in ISO 8601" in result.output


def test_a_report_makes_no_log_where_there_is_none(tmp_path: Path) -> None:
    result = run(f"sqlite:///{tmp_path}/nothing.db", "-o", str(tmp_path / "report.html"))

    assert result.exit_code == 1
    assert "python -m service migrate" in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_the_report_needs_no_display(log: Any, database_url: str, tmp_path: Path) -> None:
    write(log, *(labelled(i, proba=i / 40) for i in range(40)))
    variables = environment(DATABASE_URL=database_url, ARTIFACTS=str(ARTIFACTS), MPLBACKEND="TkAgg")
    command = [sys.executable, "-W", "error::UserWarning", "-m", "service", "report", "-o", str(tmp_path / "r.html")]

    subprocess.run(command, cwd=PROJECT, env=variables, capture_output=True, check=True)

    assert (tmp_path / "r.html").stat().st_mode & 0o777 == 0o600


def test_the_shipped_model_is_the_one_that_is_named(log: Any, database_url: str, tmp_path: Path) -> None:
    run(database_url, "-o", str(tmp_path / "report.html"))

    assert load(ARTIFACTS).version in Opened((tmp_path / "report.html").read_text()).text


def test_a_report_on_an_older_version_is_that_of_its_model(
    make_client: MakeClient, database_url: str, artifacts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.registry.release.prove", lambda _: {})  # its process reads the environment
    client = make_client(database_url=database_url, model_signing_key="k" * 32)
    fill(client, "titanic", 40)
    settings = Settings(database_url=database_url, artifacts=str(artifacts["iris"]), model_signing_key="k" * 32)
    champion, old = release(settings)[0].version, load(ARTIFACTS).version

    found, about = report_file.make(settings, Selection(old))
    present = report_file.make(settings, Selection())[1]

    assert (about["model"], about["version"], about["task"]) == ("titanic", old, "binary")
    assert (found.performance["labelled"], found.drift["model_version"]) == (40, old)
    assert "roc_auc" in found.performance["metrics"]
    assert (present["model"], present["version"]) == ("iris", champion)


def test_the_champion_is_compared_with_the_one_before_it_while_it_is_watched(
    service: Client, models: Registry, session: Session, twin: Content, database_url: str, tmp_path: Path
) -> None:
    first = str(models.promotions.champion())
    models.register(twin, "me@here")
    found = promoted(models, twin.version)
    label(session, found, 40, BAD, GOOD)
    settings = Settings(database_url=database_url, artifacts=str(ARTIFACTS), model_signing_key=KEY)

    report, about = report_file.make(settings, Selection())
    page = Opened(html(report, about).decode()).text

    assert report.comparison is not None
    assert (report.comparison["first"], report.comparison["second"]) == (twin.version, first)
    assert (report.comparison["rows"], report.comparison["better"]) == (40, "second")
    assert f"{twin.version} (champion)" in page
    assert "The champion is significantly worse." in page
    console = Console(record=True, width=200)
    report_file.show(report, console)
    assert f"{first} is significantly better." in console.export_text()
    models.rollback("me@here")
    assert report_file.make(settings, Selection())[0].comparison is None


@pytest.mark.parametrize("which", ["champion", "previous"])
def test_a_model_without_a_trusted_manifest_is_not_compared(
    service: Client, models: Registry, twin: Content, database_url: str, which: str
) -> None:
    previous = str(models.promotions.champion())
    models.register(twin, "me@here")
    promoted(models, twin.version)
    settings = Settings(database_url=database_url, artifacts=str(ARTIFACTS), model_signing_key=KEY)
    models.store.replace_signature(twin.version if which == "champion" else previous, "of nobody")

    report, _ = report_file.make(settings, Selection())

    assert report.comparison is None
    assert report.performance["count"] == 0


def test_models_without_a_common_row_or_of_another_task(
    service: Client, models: Registry, session: Session, twin: Content, database_url: str, artifacts: dict[str, Path]
) -> None:
    settings = Settings(database_url=database_url, artifacts=str(ARTIFACTS), model_signing_key=KEY)
    models.register(twin, "me@here")
    promoted(models, twin.version)
    report, about = report_file.make(settings, Selection())
    assert "No labelled row has an answer of both" in Opened(html(report, about).decode()).text

    models.register(read_content(artifacts["iris"]), "me@here")
    promoted(models, read_content(artifacts["iris"]).version)
    assert report_file.make(settings, Selection())[0].comparison is None
