"""What /performance and /drift answer is what the document of the API says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sklearn.datasets import load_diabetes, load_iris

from tests.conftest import MakeClient
from tests.support.passengers import all_passengers

ROWS: dict[str, tuple[Callable[[], list[Any]], Callable[[int], dict[str, Any]]]] = {
    "titanic": (all_passengers, lambda i: {"true_class": i % 2}),
    "iris": (lambda: load_iris(as_frame=True).data.to_dict("records"), lambda i: {"true_class": "setosa"}),
    "diabetes": (
        lambda: load_diabetes(as_frame=True, scaled=False).data.to_dict("records"),
        lambda i: {"true_value": 100.0 + i},
    ),
}


@pytest.mark.parametrize("recipe", ROWS)
@pytest.mark.parametrize("labels", [None, 0, 60, 150])
def test_every_answer_is_as_it_is_described(
    make_client: MakeClient, artifacts: dict[str, Path], recipe: str, labels: int | None
) -> None:
    client = make_client(artifacts=str(artifacts[recipe]))
    rows, label = ROWS[recipe]
    if labels is not None:
        client.post("/predict", json=[{"id": i, "observation": each} for i, each in enumerate(rows()[:150])])
        client.post("/update", json=[{"id": i, **label(i)} for i in range(labels)])
    document = client.get("/openapi.json").json
    columns = document["paths"]["/performance"]["get"]["parameters"][-1]["schema"]["enum"]

    def require(path: str, query: str = "") -> None:
        schema: Any = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        answer = client.get(path + query)
        assert answer.status_code == 200
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json)

    for query in ("", "?window=1w", *(f"?by={column}&window=1d" for column in columns)):
        require("/performance", query)
    for query in ("", "?last=20", "?since=2020-01-01"):
        require("/drift", query)
