"""The example of each error response in /openapi.json: what the service answers to some request. A test sends one for
each of them."""

from typing import Any

from service.errors import (
    BodyTooLarge,
    CannotLearn,
    Fault,
    Forbidden,
    InvalidBody,
    InvalidQuery,
    JobConflict,
    MalformedBody,
    ModelConflict,
    ObservationConflict,
    ServiceError,
    SlowBody,
    Unauthorized,
    Unavailable,
    UnknownJob,
    UnknownModel,
    UnknownObservation,
    UnsupportedBody,
    problem,
    reason_phrase,
)
from service.prediction.moment import EXPECTED_MOMENT
from service.web.problem import DETAILS

_REQUEST_ID = "9d1f7c24b8e05a6371c2de48f0ab5936"


def example_problems(example_id: str, max_items: int) -> dict[int, list[dict[str, Any]]]:
    """The bodies by status. `example_id` is the id of the example observation, `max_items` the most that an array may
    hold."""
    no_such_id = "no-such-id"
    unknown = Fault.of_id("/id", no_such_id, "does not exist", "the id of a prediction")
    known = Fault.of_id("/id", example_id, "already exists", "an id that is not taken by another observation")
    members = "an object with the keys id and observation"
    missing = Fault("/observation", f"observation is missing; expected {members}", None, members)
    since = Fault("/since", f'since: expected {EXPECTED_MOMENT}; got "monday"', "monday", EXPECTED_MOMENT)
    internal = f"Internal error. The service log has the cause under the request id {_REQUEST_ID}."
    errors = [
        MalformedBody('The key "id" occurs twice in one object.'),
        Unauthorized("Send an API key, as Authorization: Bearer <key> or as X-API-Key: <key>."),
        Forbidden("This URL needs a key from ADMIN_KEY; an API key is not enough."),
        UnknownObservation(unknown.detail, [unknown]),
        UnknownModel("There is no model 000000000000; `python -m service models` lists them."),
        UnknownJob("There is no job 0; GET /admin/jobs lists them."),
        SlowBody("The body did not arrive within 20 seconds."),
        ObservationConflict(known.detail, [known]),
        ModelConflict("There is no earlier champion to go back to."),
        JobConflict("Job 1 has ended already; it is cancelled."),
        BodyTooLarge(f"The array has {max_items + 1} items; send at most {max_items} at once."),
        UnsupportedBody("Send the header Content-Type: application/json."),
        InvalidBody([missing]),
        InvalidQuery([since]),
        CannotLearn("MODEL_DIGEST is set, so no other model may serve; to train one, remove MODEL_DIGEST."),
        ServiceError(internal),
        Unavailable("Too many requests are waiting; try again shortly."),
    ]
    found = [*map(_of_error, errors), *map(_of_status, (400, 404, 405, 414, 417, 431, 501))]
    statuses = sorted({body["status"] for body in found})
    return {status: [body for body in found if body["status"] == status] for status in statuses}


def _of_error(error: ServiceError) -> dict[str, Any]:
    body = problem(error.status, error.title, error.detail, error.slug, _REQUEST_ID)
    return body | ({"errors": [fault.to_json() for fault in error.faults]} if error.faults else {})


def _of_status(status: int) -> dict[str, Any]:
    """The answer of the router or of the server below it, which has no error of its own."""
    title = reason_phrase(status)
    return problem(status, title, DETAILS.get(status, title + "."), title.lower().replace(" ", "-"), _REQUEST_ID)
