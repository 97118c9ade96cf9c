"""A client for the service. It needs only the standard library and urllib3, so a caller installs no more than that."""

from service.client.answers import Label, ObservationId, Prediction
from service.client.client import Client
from service.client.errors import ClientError, Conflict, Fault, InvalidAddress, NoAnswer, NotFound, NotJson, Refused
from service.client.transport import Reply

__all__ = [
    "Client",
    "ClientError",
    "Conflict",
    "Fault",
    "InvalidAddress",
    "Label",
    "NoAnswer",
    "NotFound",
    "NotJson",
    "ObservationId",
    "Prediction",
    "Refused",
    "Reply",
]
