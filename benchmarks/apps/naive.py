"""The service that a data scientist writes in an afternoon: a pandas row, predict_proba and one insert a request.

Served by gunicorn's sync workers; MODEL names the pickled pipeline and DATABASE the SQLite file."""

import os
from typing import Any

import joblib
from flask import Flask, request
from flask_restful import Api, Resource
from peewee import FloatField, IntegerField, IntegrityError, Model, SqliteDatabase, TextField
from playhouse.shortcuts import model_to_dict

from benchmarks.apps.row import proba_of
from benchmarks.passengers import training_rows

database = SqliteDatabase(os.environ["DATABASE"])
pipeline = joblib.load(os.environ["MODEL"])
rows = training_rows()


class Prediction(Model):
    """One answered prediction."""

    observation_id = IntegerField(unique=True)
    observation = TextField()
    proba = FloatField()
    true_class = IntegerField(null=True)

    class Meta:
        database = database


database.create_tables([Prediction], safe=True)


class Predict(Resource):  # type: ignore[misc]
    """POST /predict."""

    def post(self) -> Any:
        body = request.get_json()
        proba = proba_of(pipeline, rows, body["observation"])
        prediction = Prediction(observation_id=body["id"], observation=request.data.decode(), proba=proba)
        try:
            prediction.save()
        except IntegrityError:
            return {"error": f"Observation ID: {body['id']} already exists", "proba": proba}, 409
        return model_to_dict(prediction)


app = Flask("naive")
Api(app).add_resource(Predict, "/predict")
