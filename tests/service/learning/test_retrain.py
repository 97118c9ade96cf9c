"""From the labelled log to a challenger with its verdict, and to its promotion if the gate and the user allow it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serialize import dump, load
from serialize.content import read_content
from service.errors import CannotLearn
from service.learning.reporter import Cancelled, Reporter
from service.learning.retrain import retrain, retrain_job
from service.learning.retraining.options import RetrainOptions
from service.registry.registry import Registry
from service.registry.release import registry_of
from service.settings import Settings
from service.storage.models.store import REFUSED, REGISTERED
from service.storage.session import Session
from tests.support.flipped import COLUMNS, make, pipeline, registered_before_the_log, world, write_log

KEY = "k" * 32
PROMOTE = RetrainOptions(promote=True)
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # where the database does not matter


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of the champion."""
    folder = tmp_path_factory.mktemp("champion") / "artifact"
    make(folder)
    return folder


@pytest.fixture
def settings(database_url: str) -> Settings:
    return Settings(database_url=database_url, model_signing_key=KEY)


@pytest.fixture
def registry(settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr("service.registry.release.prove", lambda _: {})  # of the promotions by the tests themselves
    monkeypatch.setattr("service.learning.retrain.prove", lambda _, seconds: {})
    # The new process that reads an artifact back takes seconds; a long test has it.
    monkeypatch.setattr("serialize.writing.steps.subprocess.run", lambda *_, **__: CompletedProcess((), 0))
    found = registry_of(settings, session)
    assert found is not None
    return found


@pytest.fixture
def champion(registry: Registry, session: Session, folder: Path) -> str:
    """The version of the champion, which was registered before the log began."""
    return release(registry, session, folder)


def release(registry: Registry, session: Session, folder: Path) -> str:
    version = registry.register(read_content(folder), "me@here").version
    registry.promote(version, "me@here")
    session.database.connect(reuse_if_open=True)
    registered_before_the_log(registry, session.database, version)
    return version


def run(settings: Settings, session: Session, options: RetrainOptions = PROMOTE) -> dict[str, Any]:
    return retrain(settings, options, Reporter(lambda share, sentence: None, lambda: None, session))


def fill(session: Session, old: int, new: int, version: str) -> None:
    """Writes rows from before and from after the flip."""
    session.database.connect(reuse_if_open=True)
    if old:
        write_log(session.database, *world(old, seed=1), version)
    if new:
        write_log(session.database, *world(new, seed=2, is_flipped=True), version, start=old)


def test_after_a_flip_the_challenger_is_promoted(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 1000, 1000, champion)

    found = run(settings, session)

    assert (found["outcome"], found["promoted"], found["champion"]) == ("better", True, champion)
    assert registry.promotions.champion() == found["challenger"]
    entry = registry.promotions.newest(1)[0]
    assert (entry.from_version, json.loads(str(entry.figures))["rows"]) == (champion, 300)
    verdict = found["verdict"]
    assert verdict["candidate"].startswith("the newest ")
    assert verdict["rows"]["holdout"] == verdict["rows"]["choosing"] == 300
    stored = registry.model(found["challenger"])
    assert json.loads(str(stored.verdict)) == verdict
    assert stored.trained_until == verdict["windows"]["choosing"]["last_id"]
    manifest = registry.manifest(stored.version)
    assert manifest.training is not None
    assert manifest.training["window"]["until"] == verdict["windows"]["choosing"]["until"]
    assert manifest.training["parent"] == champion


def test_without_promote_the_challenger_is_stored_and_can_be_promoted(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 0, 1000, champion)

    found = run(settings, session, RetrainOptions())

    assert (found["outcome"], found["promoted"], found["state"]) == ("better", False, REGISTERED)
    assert f"python -m service promote {found['challenger']}" in found["message"]
    assert registry.promotions.champion() == champion
    again = run(settings, session, PROMOTE)
    assert (again["promoted"], again["challenger"]) == (True, found["challenger"])
    assert registry.promotions.champion() == found["challenger"]


@ON_SQLITE
def test_a_hold_out_of_all_rows_leaves_none_to_learn_from(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 0, 400, champion)

    found = run(settings, session, RetrainOptions(holdout=5000))

    assert found["outcome"] == "not enough"
    assert "smaller hold-out" in found["message"]


@ON_SQLITE
@pytest.mark.parametrize("is_flipped", [True, False])
def test_a_job_that_is_taken_again_does_not_judge_again(
    settings: Settings, session: Session, registry: Registry, champion: str, is_flipped: bool
) -> None:
    write_log(session.database, *world(900, seed=1, is_flipped=is_flipped), champion)
    job = Reporter(lambda share, sentence: None, lambda: None, session, 7)

    first = retrain(settings, PROMOTE, job)

    assert first["promoted"] == is_flipped
    again = retrain(settings, PROMOTE, job)
    assert {**again, "message": None} == {**first, "message": None}
    assert len(registry.promotions.history()) == 1 + is_flipped
    other = retrain(settings, PROMOTE, Reporter(lambda share, sentence: None, lambda: None, session, 8))
    assert (other["outcome"], other["challenger"]) == ("not enough", None)


@ON_SQLITE
def test_auto_promote_is_a_setting(settings: Settings, session: Session, registry: Registry, champion: str) -> None:
    fill(session, 0, 1000, champion)

    assert run(replace(settings, auto_promote=True), session, RetrainOptions())["promoted"] is True


@ON_SQLITE
def test_a_dry_run_stores_nothing(settings: Settings, session: Session, registry: Registry, champion: str) -> None:
    fill(session, 0, 1000, champion)

    found = run(settings, session, RetrainOptions(promote=True, dry_run=True))

    assert (found["outcome"], found["promoted"], found["state"]) == ("better", False, None)
    assert [model.version for model in registry.store.models()] == [champion]


@ON_SQLITE
def test_in_an_unchanged_world_the_champion_stays(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 1500, 0, champion)

    found = run(settings, session)

    assert (found["outcome"], found["promoted"]) == ("not better", False)
    assert registry.promotions.champion() == champion
    assert found["verdict"]["candidates"][0]["skipped"] is None


@ON_SQLITE
def test_a_fit_on_noise_is_no_challenger(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    X, truth = world(1500, seed=3)
    session.database.connect(reuse_if_open=True)
    write_log(session.database, X, truth[::-1], champion)

    found = run(settings, session)

    assert (found["challenger"], found["promoted"]) == (None, False)
    assert "No candidate beats a constant answer" in found["message"]
    assert [model.version for model in registry.store.models()] == [champion]


@ON_SQLITE
def test_rows_of_before_the_champion_and_repeated_training_rows_cannot_judge(
    settings: Settings, session: Session, registry: Registry, folder: Path
) -> None:
    version = registry.register(read_content(folder), "me@here").version
    registry.promote(version, "me@here")
    fill(session, 0, 1000, version)

    found = run(settings, session)

    assert (found["outcome"], found["challenger"]) == ("not enough", None)
    assert "0 of at least 200 labelled rows to compare on" in found["message"]
    assert "1,000 are not newer than the training of the champion." in found["message"]

    registered_before_the_log(registry, session.database, version)
    write_log(session.database, *world(400, seed=0), version, start=1000)
    found = run(settings, session)
    assert found["verdict"]["rows"]["left_out_of_holdout"] == {"equal to a training row": 400}
    assert found["verdict"]["rows"]["holdout"] == 300


@ON_SQLITE
def test_rows_that_do_not_fit_are_left_out_and_counted(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 0, 100, champion)
    write_log(session.database, *world(3, seed=4), champion, start=200, true_class='"perhaps"')
    write_log(
        session.database, *world(2, seed=4), champion, start=300, observation='{"x":"text","other":0.5,"group":1}'
    )

    found = run(settings, session)

    assert found["verdict"]["rows"]["left_out"] == {
        "the label is not one of the model's classes": 3,
        "the model refuses x": 2,
    }
    assert found["verdict"]["rows"]["usable"] == 100


def test_the_next_attempt_needs_new_labels_and_is_stricter(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 1500, 0, champion)
    assert run(settings, session)["outcome"] == "not better"

    found = run(settings, session)
    assert found["outcome"] == "not enough"
    assert "0 of at least 200 rows labelled since the last attempt" in found["message"]

    session.database.connect(reuse_if_open=True)
    just_now = datetime.now(UTC)
    write_log(session.database, *world(250, seed=7), champion, start=8300, labelled_at=just_now)
    assert run(settings, session)["verdict"]["figures"]["attempt"] == 2


def test_a_champion_that_changed_meanwhile_stays(
    settings: Settings, session: Session, registry: Registry, champion: str, tmp_path: Path
) -> None:
    fill(session, 0, 1000, champion)
    make(tmp_path / "other", name="other")
    other = registry.register(read_content(tmp_path / "other"), "me@here").version

    def progress(share: float, sentence: str) -> None:
        if sentence == "Storing the challenger":
            registry.promote(other, "me@here")

    found = retrain(settings, PROMOTE, Reporter(progress, lambda: None, session))

    assert (found["promoted"], found["state"]) == (False, REGISTERED)
    assert found["message"].startswith(f"The champion is {other} now; ")
    assert registry.promotions.champion() == other


def test_nothing_is_written_for_a_job_that_was_cancelled(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 0, 1000, champion)

    def require() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        retrain(settings, PROMOTE, Reporter(lambda share, sentence: None, require, session))
    assert [model.version for model in registry.store.models()] == [champion]


@ON_SQLITE
def test_a_model_that_was_rolled_back_is_not_promoted_again(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 0, 1000, champion)
    challenger = run(settings, session)["challenger"]
    registry.rollback("me@here")
    session.database.connect(reuse_if_open=True)
    session.database.execute_sql("UPDATE model SET verdict = NULL")

    found = run(settings, session)

    assert (found["challenger"], found["promoted"]) == (challenger, False)
    assert "was rolled back before" in found["message"]


@ON_SQLITE
def test_what_makes_a_retraining_impossible_is_said_in_one_sentence(
    settings: Settings, session: Session, registry: Registry, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(CannotLearn, match="has no champion; run `python -m service release`"):
        run(settings, session)
    artifact = load(folder)
    with pytest.raises(CannotLearn, match="MODEL_DIGEST is set"):
        run(replace(settings, model_digest=artifact.digest), session)

    make(tmp_path / "bare", include_training_data=False)
    release(registry, session, tmp_path / "bare")
    with pytest.raises(CannotLearn, match="include_training_data=True"):
        run(settings, session)

    X, y = world(400, seed=0)
    dump(
        FrozenEstimator(pipeline().fit(X, y)), X, y, tmp_path / "frozen", include_training_data=True, metrics="none",
        importances=False, columns=COLUMNS,
    )  # fmt: skip
    release(registry, session, tmp_path / "frozen")
    with pytest.raises(CannotLearn, match="FrozenEstimator"):
        run(settings, session)


@ON_SQLITE
def test_columns_of_the_options_must_be_the_models(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    with pytest.raises(CannotLearn, match="no column 'age'; use one of x, other, group"):
        run(settings, session, RetrainOptions(guards=("age",)))


@ON_SQLITE
def test_a_job_takes_its_options_as_json(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 0, 1000, champion)
    arguments = {
        "promote": True,
        "window": 200,
        "guard": ["group"],
        "max_rows": None,
        "cluster": "other",
        "ids": "row-",
    }

    found = retrain_job(settings, arguments, Reporter(lambda share, sentence: None, lambda: None, session))

    assert found["promoted"] is True
    assert [each["name"] for each in found["verdict"]["candidates"]][2:] == ["the newest 200 rows"]
    assert {each["column"] for each in found["verdict"]["figures"]["guards"]} == {"group"}
    json.dumps(found, allow_nan=False)


@ON_SQLITE
def test_a_challenger_that_is_clearly_worse_is_refused(
    settings: Settings, session: Session, registry: Registry, champion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The world flips back in the hold-out, after the challenger has learned the flipped one.
    fill(session, 0, 1000, champion)
    write_log(session.database, *world(300, seed=5), champion, start=1000)

    found = run(settings, session)

    assert (found["outcome"], found["state"], found["promoted"]) == ("not better", REFUSED, False)
    assert registry.store.number_of_parts(found["challenger"]) == 0


def own_rows() -> Iterator[Any]:
    X, truth = world(50, seed=6)
    yield from zip((dict(zip(COLUMNS, row, strict=True)) for row in X.tolist()), truth.tolist(), strict=True)


@ON_SQLITE
def test_rows_of_a_file_join_the_training_data(
    settings: Settings, session: Session, registry: Registry, champion: str
) -> None:
    fill(session, 0, 1000, champion)
    rows = list(own_rows())
    own = [dict(row) for row, _ in rows], [truth for _, truth in rows]

    found = run(settings, session, RetrainOptions(promote=True, own=lambda task, signature: own))

    assert found["verdict"]["rows"]["own"] == 50
    assert found["verdict"]["candidates"][0]["rows"] == 400 + 50 + found["verdict"]["rows"]["training"]


@ON_SQLITE
def test_values_and_several_classes_are_learned_too(
    settings: Settings, session: Session, registry: Registry, tmp_path: Path
) -> None:
    X, _ = world(300, seed=0)
    new_X, _ = world(900, seed=1)
    none = {"proba": None, "predicted_class": None, "threshold": None, "true_class": None}
    session.database.connect(reuse_if_open=True)

    dump_kept(make_pipeline(StandardScaler(), Ridge()), X, X[:, 0] * 3, tmp_path / "values")
    version = release(registry, session, tmp_path / "values")
    values = {**none, "predicted_value": 0.0, "true_value": (-3 * new_X[:, 0]).tolist()}
    write_log(session.database, new_X, new_X[:, 0] > 0, version, **values)
    found = run(settings, session)
    assert (found["promoted"], found["verdict"]["figures"]["loss"]) == (True, "squared_error")

    dump_kept(pipeline(), X, np.digitize(X[:, 0], (-0.5, 0.5)).astype(str), tmp_path / "classes")
    version = release(registry, session, tmp_path / "classes")
    labels = [f'"{label}"' for label in np.digitize(-new_X[:, 0], (-0.5, 0.5)).tolist()]
    write_log(session.database, new_X, new_X[:, 0] > 0, version, start=900, true_class=labels)
    session.database.execute_sql("UPDATE model SET verdict = NULL")  # the labels are older than the last attempt
    found = run(settings, session)
    assert (found["promoted"], found["verdict"]["figures"]["loss"]) == (True, "brier_score")


def dump_kept(model: Any, X: Any, y: Any, folder: Path) -> None:
    dump(
        model.fit(X, y), X, y, folder, include_training_data=True, metrics="none", importances=False, columns=COLUMNS
    )  # fmt: skip
