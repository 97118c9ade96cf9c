"""The recipes for text: `python -m benchmarks.text`. It measures `sections` with articles of 500 words, by the compiled
form and by the pipeline, and the first and a later answer of `pairs` for authors with 200 texts each; both over HTTP
too."""

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from service.settings import set_native_defaults

set_native_defaults()

import click  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks import result  # noqa: E402
from benchmarks.contenders import Model, service, sqlite_url  # noqa: E402
from benchmarks.machine import libraries, machine  # noqa: E402
from benchmarks.passengers import WrongAnswer, prediction  # noqa: E402
from benchmarks.servers import serve  # noqa: E402
from serialize import Artifact  # noqa: E402
from serialize.recipes import RECIPES  # noqa: E402
from serialize.recipes.pairs import pairs  # noqa: E402
from serialize.recipes.recipe import Recipe, train  # noqa: E402

_WORDS, _ARTICLES, _TEXTS = 500, 200, 200

Observation = dict[str, Any]


@click.command()
def main() -> None:
    """Measure both recipes and write the result as JSON."""
    before = machine()
    with TemporaryDirectory(prefix="text-") as scratch:
        found = {"sections": _sections(Path(scratch) / "sections"), "pairs": _pairs(Path(scratch) / "pairs")}
    for name, figures in found.items():
        click.echo(f"{name}: {figures}", err=True)
    settings = {"words": _WORDS, "articles": _ARTICLES, "texts": _TEXTS}
    content = {"machine": before, "versions": libraries({}), "settings": settings, "milliseconds": found}
    click.echo(f"Wrote {result.write('text', content).name}")


def _sections(folder: Path) -> dict[str, float]:
    """Medians in milliseconds, and the largest difference of the two forms."""
    recipe = RECIPES["sections"]()
    artifact = train(recipe, folder)
    compiled = artifact.compiled
    if compiled is None:
        raise click.ClickException(f"sections has no compiled form: {artifact.manifest.not_compiled}")
    words = [word for text in recipe.X["text"] for word in text.split()]
    starts = np.linspace(0, len(words) - _WORDS, _ARTICLES).astype(int).tolist()
    articles = [{"title": "Server", "text": " ".join(words[start : start + _WORDS])} for start in starts]
    with _served(artifact, articles[0]) as ask:
        over_http = median(_milliseconds(ask, article) for article in articles)
    return {
        "compiled": median(_milliseconds(compiled.outputs, [article]) for article in articles),
        "pipeline": median(_milliseconds(artifact.model.outputs, [article]) for article in articles),
        "over HTTP": over_http,
        "largest difference": float(np.abs(compiled.outputs(articles) - artifact.model.outputs(articles)).max()),
    }


def _pairs(folder: Path) -> dict[str, float]:
    """Milliseconds over all pairs of the authors of the standard library with 200 texts or more, cut to 200 each."""
    whole = pairs()
    chosen = whole.y.groupby(whole.y).head(_TEXTS)
    chosen = chosen[chosen.map(chosen.value_counts()) == _TEXTS]
    rows = whole.X.loc[chosen.index].assign(author=chosen)
    recipe: Recipe = pairs(rows.reset_index(drop=True))
    artifact = train(replace(recipe, declared={**recipe.declared, "metrics": "none"}), folder)
    texts = itertools.cycle(rows["text"])
    asked = [
        {"a": a, "b": b, "text": next(texts)} for a, b in itertools.combinations(artifact.manifest.task.classes, 2)
    ]
    artifact.pipeline.__setstate__(artifact.pipeline.__getstate__())  # forgets the pairs of the golden rows
    first = [_milliseconds(artifact.model.outputs, [one]) for one in asked]
    later = [_milliseconds(artifact.model.outputs, [one]) for one in asked * 20]
    with _served(artifact, asked[0]) as ask:
        for _, one in itertools.product(range(8), asked):  # until both workers have trained every pair
            ask(one)
        over_http = [_milliseconds(ask, one) for one in asked * 20]
    return {
        "pairs": len(asked),
        "first answer": median(first),
        "slowest first answer": max(first),
        "later answer": median(later),
        "later answer over HTTP": median(over_http),
    }


@contextmanager
def _served(artifact: Artifact, observation: Observation) -> Iterator[Callable[[Observation], None]]:
    """Serves an artifact, and gives a function that asks for a prediction on one connection."""
    assert artifact.path is not None
    expected = float(artifact.model.outputs([observation]).max())
    contender = service(Model(artifact.path, expected), sqlite_url, "service")
    with serve(replace(contender, template=lambda _: prediction(observation))) as server:
        numbers, connection = itertools.count(), HTTPConnection(urlsplit(server.url).netloc)

        def ask(asked: Observation) -> None:
            body = json.dumps({"id": f"t{next(numbers)}", "observation": asked})
            connection.request("POST", contender.path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answered = answer.read()
            if answer.status != HTTPStatus.OK:
                raise WrongAnswer(f"{answer.status} {answered.decode()}")

        with closing(connection):
            yield ask


def _milliseconds(call: Callable[[Any], Any], argument: Observation | Sequence[Observation]) -> float:
    start = time.perf_counter()
    call(argument)
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
