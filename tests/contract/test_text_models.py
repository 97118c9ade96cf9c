"""The recipes for text over HTTP, trained from a user's file: sections and pairs answer as their pipelines do on both
databases, and refuse by name what they cannot answer."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from serialize import Artifact, load
from serialize.__main__ import main
from tests.conftest import Client, MakeClient
from tests.support.openapi_examples import assert_examples_are_true

RANDOM = np.random.default_rng(0)
SUBJECTS = {
    "sea": ["ship", "sail", "harbour", "wave", "captain", "deck", "anchor", "tide", "rope", "storm"],
    "kitchen": ["bread", "oven", "flour", "salt", "knife", "pan", "butter", "spoon", "soup", "stove"],
    "garden": ["seed", "soil", "rose", "spade", "leaf", "rain", "hedge", "bulb", "grass", "worm"],
}
COMMON = [
    "the",
    "a",
    "of",
    "in",
    "on",
    "with",
    "very",
    "often",
    "then",
    "we",
    "saw",
    "found",
    "kept",
    "had",
    "was",
    "and",
]
ODD_TEXTS = [
    "",
    " \t\n",
    "🚢🌊 ship",
    "e\u0301 cafe\u0301 Å\u030a",
    "שלום ship עולם",
    "\u202eright to left\u202c",
    "\uff33\uff28\uff29\uff30 \ufb01sh",
    "SHIP İSTANBUL straße",
    "word" * 200,
    "the of and",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
]

Make = Callable[[str], Artifact]

pytestmark = pytest.mark.long  # trains both recipes in each process that runs tests


def sentence(subject: str) -> str:
    return " ".join([*RANDOM.choice(SUBJECTS[subject], 6), *RANDOM.choice(COMMON, 12)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Trains a recipe by the command line on a file of 40 texts for each of three sections or authors."""
    folder = tmp_path_factory.mktemp("text")
    subjects = sorted(SUBJECTS) * 40
    rows = {"heading": [sentence(one)[:20] for one in subjects], "body": [sentence(one) for one in subjects]}
    pd.DataFrame({**rows, "subject": subjects}).to_csv(folder / "articles.csv", index=False, sep=";")
    spoken = [json.dumps({"who": one, "said": sentence(one)}) for one in subjects]
    (folder / "sayings.ndjson").write_text("\n".join(spoken))
    options = {
        "sections": ["articles.csv", "--sep", ";", "--title", "heading", "--text", "body", "--section", "subject"],
        "pairs": ["sayings.ndjson", "--author", "who", "--text", "said"],
    }
    made: dict[str, Artifact] = {}

    def make(name: str) -> Artifact:
        if name not in made:
            file, *others = options[name]
            command = ["recipe", name, "-o", str(folder / name), "--data", str(folder / file), *others]
            ran = CliRunner().invoke(main, command)
            assert ran.exit_code == 0, ran.output
            made[name] = load(folder / name)
        return made[name]

    return make


@pytest.fixture
def serve(make_client: MakeClient, trained: Make, database_url: str) -> Callable[[str], Client]:
    return lambda name: make_client(artifacts=str(trained(name).path), database_url=database_url)


def ask(client: Client, id_: Any, **observation: Any) -> Any:
    return client.post("/predict", json={"id": id_, "observation": observation})


def test_a_section_is_predicted_labelled_and_compared_with_the_training(
    serve: Callable[[str], Client], trained: Make
) -> None:
    client, artifact = serve("sections"), trained("sections")
    article = {"heading": "ship and sail", "body": sentence("sea")}

    answer = ask(client, 1, **article).json
    labelled = client.post("/update", json={"id": 1, "true_class": "sea"}).json
    wrong = client.post("/update", json={"id": 1, "true_class": "war"})

    assert artifact.compiled is not None
    assert list(answer) == ["id", "observation_id", "predicted_class", "proba", "true_class", "probas"]
    assert answer["predicted_class"] == "sea"
    assert list(answer["probas"]) == ["garden", "kitchen", "sea"]
    assert list(answer["probas"].values()) == pytest.approx(artifact.model.outputs([article])[0], abs=1e-9)
    assert labelled["true_class"] == "sea"
    assert labelled["observation"] == article
    assert wrong.status_code == 422
    client.post("/predict", json=[{"id": f"n{i}", "observation": {"body": "νέο κείμενο εδώ " * 9}} for i in range(60)])
    drift = client.get("/drift").json["columns"]
    assert "unknown words" in drift["body"]["changes"]
    assert "nulls" in drift["heading"]["changes"]


@pytest.mark.parametrize("name", ["sections", "pairs"])
def test_every_example_of_the_api_document_is_answered_as_it_says(
    make_client: MakeClient, trained: Make, tmp_path: Path, name: str
) -> None:
    artifact = trained(name)
    url, key = f"sqlite:///{tmp_path}/example.db", "the-admin-key-of-these-tests"
    client = make_client(artifacts=str(artifact.path), database_url=url, admin_key=(key,), exports=str(tmp_path))

    assert_examples_are_true(client, artifact.manifest.golden.observations, key, is_seeded=False)


def test_odd_texts_get_the_probabilities_of_the_pipeline(serve: Callable[[str], Client], trained: Make) -> None:
    client, artifact = serve("sections"), trained("sections")
    longest = next(column.max_length for column in artifact.manifest.signature if column.name == "body")
    rows: list[dict[str, str | None]] = [{"heading": text, "body": text} for text in ODD_TEXTS]
    rows += [{"heading": None, "body": "ship " * (longest // 5)}]

    answers = client.post("/predict", json=[{"id": i, "observation": row} for i, row in enumerate(rows)]).json
    assert isinstance(answers, list), answers

    expected = artifact.model.outputs(rows)
    for answer, row in zip(answers, expected, strict=True):
        assert list(answer["probas"].values()) == pytest.approx(row, abs=1e-9)


@pytest.mark.parametrize("name", ["sections", "pairs"])
@pytest.mark.parametrize("bad", ['"\\ud800"', '"' + "x" * 500_000 + '"', '"ship\\u0000sail"', "7", "null", '["ship"]'])
def test_other_values_than_texts_are_named(make_client: MakeClient, trained: Make, name: str, bad: str) -> None:
    client, column = make_client(artifacts=str(trained(name).path)), {"sections": "body", "pairs": "text"}[name]
    others = {"sections": '"heading": "ship"', "pairs": '"a": "sea", "b": "garden"'}[name]

    body = f'{{"id": 1, "observation": {{{others}, "{column}": {bad}}}}}'
    answer = client.post("/predict", data=body, content_type="application/json")

    assert answer.status_code in (400, 422)
    assert answer.content_type == "application/problem+json"
    if answer.status_code == 422:
        assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/observation/{column}"]
        assert ("without NUL characters and lone surrogates" in answer.json["error"]) == ("\\u" in bad)


def test_the_likelier_of_two_authors_is_predicted_whatever_their_order(
    serve: Callable[[str], Client], trained: Make
) -> None:
    client, artifact = serve("pairs"), trained("pairs")
    said = sentence("kitchen")

    one = ask(client, 1, a="kitchen", b="sea", text=said).json
    other = ask(client, 2, a="sea", b="kitchen", text=said).json

    assert one["predicted_class"] == other["predicted_class"] == "kitchen"
    assert one["probas"] == other["probas"]
    assert one["probas"]["garden"] == 0
    assert one["proba"] == one["probas"]["kitchen"] > 0.5
    assert sum(one["probas"].values()) == pytest.approx(1, abs=1e-12)
    expected = artifact.model.outputs([{"a": "kitchen", "b": "sea", "text": said}])[0]
    assert list(one["probas"].values()) == pytest.approx(expected, abs=1e-9)
    assert client.post("/update", json={"id": 2, "true_class": "kitchen"}).json["true_class"] == "kitchen"


@pytest.mark.parametrize(
    ("observation", "pointers"),
    [
        ({"a": "sea", "b": "sea"}, ["/observation/b"]),
        ({"a": "war", "b": "sea"}, ["/observation/a"]),
        ({"a": "war", "b": "peace"}, ["/observation/a", "/observation/b"]),
        ({"a": None, "b": "sea"}, ["/observation/a"]),
        ({"a": "sea"}, ["/observation/b"]),
    ],
)
def test_authors_that_cannot_be_compared_are_named(
    serve: Callable[[str], Client], observation: Any, pointers: list[str]
) -> None:
    client = serve("pairs")
    good = {"id": 1, "observation": {"a": "sea", "b": "garden", "text": "the rope"}}

    alone = ask(client, 2, **observation, text="the rope")
    array = client.post("/predict", json=[good, {"id": 2, "observation": {**observation, "text": "the rope"}}])

    assert alone.status_code == array.status_code == 422
    assert [fault["pointer"] for fault in alone.json["errors"]] == pointers
    assert [fault["pointer"] for fault in array.json["errors"]] == ["/1" + pointer for pointer in pointers]
    assert ask(client, 1, **good["observation"]).headers.get("Idempotent-Replayed") is None  # type: ignore[arg-type]


def test_the_card_has_the_texts_of_each_author_and_the_held_out_accuracy(serve: Callable[[str], Client]) -> None:
    card = serve("pairs").get("/model").json

    assert card["class_counts"] == {"garden": 40, "kitchen": 40, "sea": 40}
    assert card["metrics"]["method"] == "5-fold cross-validation"
    assert card["metrics"]["metrics"]["accuracy"]["mean"] > 0.9
    assert 0.3 < card["metrics"]["baseline"]["accuracy"]["mean"] < 0.7


def test_fifty_first_requests_of_one_pair_train_once(
    make_client: MakeClient, trained: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(artifacts=str(trained("pairs").path))
    trainings: list[tuple[int, int]] = []
    fit = type(trained("pairs").pipeline)._trained

    def counted(model: Any, first: int, second: int) -> Any:
        trainings.append((first, second))
        return fit(model, first, second)

    monkeypatch.setattr(type(trained("pairs").pipeline), "_trained", counted)
    trainings.clear()  # the start of the service has verified golden rows
    with ThreadPoolExecutor(50) as pool:
        sent = [
            pool.submit(
                client.application.test_client().post,
                "/predict",
                json={"id": i, "observation": {"a": "sea", "b": "garden", "text": sentence("sea")}},
            )
            for i in range(50)
        ]
        statuses = {one.result().status_code for one in sent}

    assert statuses == {200}
    assert len(trainings) <= 1
