"""A constant answer by Flask-RESTful, without reading the request body: what the HTTP stack alone can do."""

from typing import Any

from flask import Flask
from flask_restful import Api, Resource

ANSWER = {"id": 1, "observation_id": 0, "predicted_class": False, "proba": 0.0958079757989421, "true_class": None}


class Predict(Resource):  # type: ignore[misc]
    """POST /predict."""

    def post(self) -> Any:
        return ANSWER


app = Flask("constant")
Api(app).add_resource(Predict, "/predict")
