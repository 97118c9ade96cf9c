"""GET /openapi.json describes the service as it is, for each kind of model."""

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator

from serialize import load
from serialize.manifest import Manifest
from serialize.signature import Column, Signature
from serialize.task import Task
from service.errors import InvalidBody
from service.prediction.observation import ObservationParser, parse_id
from service.prediction.true_label import LabelParser
from service.web.example import example_observation
from service.web.schemas.forms import OBSERVATION_ID
from service.web.schemas.of_model import label, observation
from tests.conftest import Client, MakeClient
from tests.service.prediction.test_observation import COLUMNS
from tests.service.web.test_payload import values
from tests.support.openapi_examples import examples_of, success_of
from tests.support.openapi_shape import document_shape
from tests.support.passengers import ARTIFACTS, PASSENGER

RECIPES = ("titanic", "iris", "diabetes")


REFERENCE = Path(__file__).with_name("openapi_reference.json")


@pytest.fixture(params=RECIPES)
def client(request: pytest.FixtureRequest, make_client: MakeClient, artifacts: dict[str, Path]) -> Client:
    return make_client(artifacts=str(artifacts[request.param]))


@pytest.fixture
def document(client: Client) -> Any:
    return client.get("/openapi.json").json


def routes(client: Client) -> set[tuple[str, str]]:
    """Every method and path of the application."""
    return {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in client.application.extensions["serving"].model.flask.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def described(document: Any) -> dict[tuple[str, str], Any]:
    return {
        (method, path): item[method]
        for path, methods in document["paths"].items()
        for item in [methods]
        for method in item
    }


def is_valid(schema: Any, value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(value))


def test_it_is_valid_openapi(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_what_clients_rely_on_is_as_in_the_reference(
    make_client: MakeClient, artifacts: dict[str, Path], tmp_path: Path
) -> None:
    """The reference is what `document_shape` made of the documents of the three recipes before the document became a
    plain dict. After a wanted change, replace it by the file that this test writes when it fails."""
    shapes = {}
    for name in RECIPES:
        client = make_client(artifacts=str(artifacts[name]), database_url=f"sqlite:///{tmp_path}/{name}.db")
        shapes[name] = document_shape(client.get("/openapi.json").json)

    made = json.dumps(shapes, indent=1, ensure_ascii=False) + "\n"
    (tmp_path / REFERENCE.name).write_text(made)

    assert shapes == json.loads(REFERENCE.read_text()), f"see {tmp_path / REFERENCE.name}"


def test_the_document_is_built_at_the_first_request_and_once(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def build(manifest: Manifest, *_: Any, **__: Any) -> dict[str, str]:
        built.append(manifest.name)
        return {"openapi": "3.1.1"}

    monkeypatch.setattr("service.web.openapi.document", build)

    client = make_client()
    before = len(built)
    answers = [client.get("/openapi.json").json for _ in range(3)]

    assert (before, len(built)) == (0, 1)
    assert answers == [{"openapi": "3.1.1"}] * 3


def test_first_requests_at_the_same_time_get_the_whole_document(make_client: MakeClient) -> None:
    app = make_client().application

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: app.test_client().get("/openapi.json").data, range(16)))

    assert set(answers) == {answers[0]}
    assert set(json.loads(answers[0])) == {"openapi", "info", "paths", "components"}


def test_every_route_is_described_and_nothing_else(client: Client, document: Any) -> None:
    assert set(described(document)) == routes(client)


def test_every_example_is_answered_200(client: Client, document: Any) -> None:
    for path in ("/predict", "/update"):
        examples = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]

        statuses = {name: client.post(path, json=example["value"]).status_code for name, example in examples.items()}

        assert statuses == {"one": 200, "many": 200}


def test_every_body_and_every_parameter_has_an_example_that_fits_its_schema(document: Any) -> None:
    operations = described(document).values()
    bodies = [operation["requestBody"] for operation in operations if "requestBody" in operation]
    answers = [success_of(operation) for operation in operations]
    failures = document["components"]["responses"].values()
    contents = [content for one in (*bodies, *answers, *failures) for content in one["content"].values()]
    parameters = [one for operation in operations for one in operation["parameters"] if "$ref" not in one]
    parameters += document["components"]["parameters"].values()

    pairs = [(content["schema"], example) for content in contents for example in examples_of(content).values()]
    pairs += [(one["schema"], one["example"]) for one in parameters]

    assert all(examples_of(content) for content in contents)
    for schema, example in pairs:
        jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(example)


def test_the_document_stays_small(document: Any) -> None:
    assert len(json.dumps(document)) < 110_000


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_example_is_no_row_that_the_model_was_trained_on(recipe: str, artifacts: dict[str, Path]) -> None:
    manifest = load(artifacts[recipe]).manifest

    example = example_observation(manifest, lambda _: True)

    assert example not in manifest.golden.observations


def test_where_the_model_cannot_answer_what_is_made_up_a_golden_row_is_the_example() -> None:
    example = example_observation(titanic, lambda values: values in titanic.golden.observations)

    assert example == titanic.golden.observations[0]


def test_a_link_leads_from_a_prediction_to_its_true_class(client: Client, document: Any) -> None:
    operation = document["paths"]["/predict"]["post"]
    example = operation["requestBody"]["content"]["application/json"]["examples"]["one"]["value"]
    link = operation["responses"]["200"]["links"]["update"]

    predicted = client.post("/predict", json=example).json
    body = {**link["requestBody"], "id": predicted["observation_id"]}

    assert link["operationId"] == "update"
    assert link["requestBody"]["id"] == "$response.body#/observation_id"
    assert client.post("/update", json=body).status_code == 200


def test_every_failure_is_described_as_problem_json_with_its_status(document: Any) -> None:
    for operation in described(document).values():
        for status, response in operation["responses"].items():
            if not status.startswith("2"):
                resolved = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
                media = resolved["content"]["application/problem+json"]
                assert media["schema"]["allOf"][1] == {"properties": {"status": {"const": int(status)}}}
                assert {body["status"] for body in examples_of(media).values()} == {int(status)}


def test_what_a_post_may_answer_is_all_described(document: Any) -> None:
    statuses = {path: set(document["paths"][path]["post"]["responses"]) for path in ("/predict", "/update")}

    always = {"200", "400", "401", "405", "413", "415", "422", "500", "503"}
    assert always | {"409"} <= statuses["/predict"]
    assert always | {"404"} <= statuses["/update"]
    assert "Retry-After" in document["components"]["responses"]["ServiceUnavailable"]["headers"]
    assert "Allow" in document["components"]["responses"]["MethodNotAllowed"]["headers"]


def test_the_document_is_open_and_a_key_is_optional_where_none_is_set(document: Any) -> None:
    for (_, path), operation in described(document).items():
        assert ({} in operation["security"]) is not path.startswith(("/admin/", "/predictions"))
        if path in ("/", "/openapi.json", "/livez", "/readyz", "/healthz"):
            assert operation["security"] == [{}]
    assert document["paths"]["/predict"]["post"]["security"] == [{}, {"bearer": []}, {"apiKey": []}]


def test_a_key_is_required_where_one_is_set(make_client: MakeClient) -> None:
    document = make_client(api_key=("k" * 16,)).get("/openapi.json").json

    assert document["paths"]["/predict"]["post"]["security"] == [{"bearer": []}, {"apiKey": []}]
    assert document["paths"]["/livez"]["get"]["security"] == [{}]


@pytest.mark.parametrize(("column", "taken", "refused"), COLUMNS)
def test_the_schema_of_a_column_admits_what_is_taken_only(column: Column, taken: list[Any], refused: list[Any]) -> None:
    schema = observation(Signature("frame", (column,)))

    assert all(is_valid(schema, {column.name: value}) for value in taken)
    assert not any(is_valid(schema, {column.name: value}) for value in refused)


NEAR = [value for _, taken, refused in COLUMNS for value in taken + refused]


@pytest.mark.parametrize(
    "column", [column for column, _, _ in COLUMNS], ids=lambda column: f"{column.kind}-{column.dtype}"
)
@given(value=values | st.sampled_from(NEAR) | st.integers(-(2**64), 2**64) | st.floats(-2, 2))
def test_a_value_is_taken_exactly_where_the_schema_of_its_column_admits_it(column: Column, value: Any) -> None:
    # A schema cannot say where the doubles end, and JSON has larger integers.
    assume(isinstance(value, bool) or not isinstance(value, int) or abs(value) <= sys.float_info.max)
    signature = Signature("frame", (column,))

    try:
        ObservationParser(signature).parse({"id": 0, "observation": {column.name: value}})
    except InvalidBody:
        assert not is_valid(observation(signature), {column.name: value})
    else:
        assert is_valid(observation(signature), {column.name: value})


titanic = load(ARTIFACTS).manifest
schema_of_titanic = observation(titanic.signature)


@given(st.dictionaries(st.sampled_from([*PASSENGER, "Deck"]), values | st.sampled_from(list(PASSENGER.values()))))
def test_an_observation_is_taken_exactly_where_its_schema_admits_it(changes: dict[str, Any]) -> None:
    given_observation = {**PASSENGER, **changes}

    try:
        ObservationParser(titanic.signature).parse({"id": 0, "observation": given_observation})
    except InvalidBody:
        assert not is_valid(schema_of_titanic, given_observation)
    else:
        assert is_valid(schema_of_titanic, given_observation)


@given(values | st.integers(-(2**63) - 1, -(2**63)) | st.integers(2**63 - 1, 2**63) | st.text(max_size=300))
def test_an_id_is_taken_exactly_where_its_schema_admits_it(value: Any) -> None:
    """Except an integer of 2**53 or more that is written as a float: a JSON Schema knows only its value."""
    assume(not isinstance(value, float) or abs(value) < 2**53)
    try:
        parse_id(value)
    except InvalidBody:
        assert not is_valid(OBSERVATION_ID, value)
    else:
        assert is_valid(OBSERVATION_ID, value)


@pytest.mark.parametrize(
    "task",
    [
        Task("binary", (False, True), True, 0.5),
        Task("binary", ("no", "yes"), "yes", 0.5),
        Task("multiclass", (1, 2, 3)),
        Task("multiclass", (0.5, 1.0, "x")),
        Task("regression"),
    ],
    ids=str,
)
def test_a_true_label_is_taken_exactly_where_its_schema_admits_it(task: Task) -> None:
    parser = LabelParser(task)
    near = [0, 1, 2, 3, 0.0, 1.0, 0.5, 1.5, True, False, "no", "yes", "x", "1", "", None, [], {}, 2**70]

    for value in near:
        try:
            parser.parse({"id": 1, parser.name: value})
        except InvalidBody:
            assert not is_valid(label(task), value), value
        else:
            assert is_valid(label(task), value), value


def test_the_document_is_plain_json_that_keeps_64_bits(document: Any) -> None:
    assert document["components"]["schemas"]["ObservationId"]["anyOf"][0]["maximum"] == 2**63 - 1
    assert json.loads(json.dumps(document, allow_nan=False)) == document
