"""How each peer is started, asked and read."""

import json
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import WORKERS, Contender, Model, uvicorn
from benchmarks.passengers import ID
from benchmarks.venvs import python_of

_V2_TYPES: dict[str, dict[str, Any]] = {
    **{name: {"datatype": "INT64"} for name in ("Pclass", "SibSp", "Parch")},
    **{name: {"datatype": "FP64"} for name in ("Age", "Fare")},
}
_V2_TEXT: dict[str, Any] = {"datatype": "BYTES", "parameters": {"content_type": "str"}}


def peer(name: str, model: Model) -> Contender:
    """One of PEERS; its environment is made where it is missing. Raises ClickException where that fails."""
    return PEERS[name](model, python_of(name))


def _mlserver(model: Model, python: str) -> Contender:
    command = (python, "-m", "benchmarks.peers.on_mlserver")
    return _contender(
        "mlserver",
        model,
        python,
        command,
        path="/v2/models/titanic/infer",
        template=_tensors,
        proba=lambda answer: float(answer["outputs"][0]["data"][1]),
    )


def _mlflow(model: Model, python: str) -> Contender:
    command = (python, "-m", "benchmarks.peers.on_mlflow")
    return _contender(
        "mlflow",
        model,
        python,
        command,
        path="/invocations",
        template=_split_frame,
        proba=lambda answer: float(answer["predictions"][0][1]),
    )


def _bentoml(model: Model, python: str) -> Contender:
    command = (python, "-m", "bentoml", "serve", "benchmarks.peers.on_bentoml:Titanic", "--host=127.0.0.1")
    return _contender(
        "bentoml",
        model,
        python,
        (*command, "--port={port}"),
        template=lambda observation: f'{{"items": [{{"id": {ID}, "observation": {json.dumps(observation)}}}]}}',
        proba=lambda answer: float(answer[0]),
    )


def _litserve(model: Model, python: str) -> Contender:
    return _contender("litserve", model, python, (python, "-m", "benchmarks.peers.on_litserve"))


def _vetiver(model: Model, python: str) -> Contender:
    return _contender(
        "vetiver",
        model,
        python,
        uvicorn(python, "benchmarks.peers.on_vetiver:app"),
        template=lambda observation: f'[{{"id": {ID}, {json.dumps(observation)[1:]}]',
        proba=lambda answer: float(answer["predict"][0][1]),
    )


def _contender(name: str, model: Model, python: str, command: tuple[str, ...], **wire: Any) -> Contender:
    return Contender(
        name,
        command,
        lambda folder: {
            "MODEL": model.pipeline,
            "WORKERS": str(WORKERS),
            "BENTOML_HOME": str(folder),
            "BENTOML_DO_NOT_TRACK": "True",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        },
        expected=model.expected,
        python=python,
        **wire,
    )


def _tensors(observation: dict[str, Any]) -> str:
    """The Open Inference Protocol's form: one tensor a column."""
    columns = [
        {"name": name, "shape": [1], "data": [value], **_V2_TYPES.get(name, _V2_TEXT)}
        for name, value in observation.items()
    ]
    return json.dumps({"id": ID, "inputs": columns, "outputs": [{"name": "predict_proba"}]})


def _split_frame(observation: dict[str, Any]) -> str:
    """MLflow's form; the id is the row's label, which it does not answer."""
    columns, row = json.dumps(list(observation)), json.dumps(list(observation.values()))
    return f'{{"dataframe_split": {{"columns": {columns}, "index": [{ID}], "data": [{row}]}}}}'


PEERS: dict[str, Callable[[Model, str], Contender]] = {
    "mlserver": _mlserver,
    "mlflow": _mlflow,
    "bentoml": _bentoml,
    "litserve": _litserve,
    "vetiver": _vetiver,
}
