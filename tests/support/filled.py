"""Logs with many rows, which the database itself generates."""

from datetime import UTC, datetime

from peewee import Database, SqliteDatabase

from service.storage.connection import connect
from service.storage.tables import Prediction

OBSERVATION = '{"Pclass":3,"Sex":"male","Age":22.0,"SibSp":1,"Parch":0,"Fare":7.25,"Cabin":null,"Embarked":"S"}'


def fill(database_url: str, rows: int, created_at: str = "2026-01-31T12:00:00.000000+00:00") -> None:
    """Inserts `rows` predictions with the ids 0, 1, ..."""
    database = connect(database_url)
    with database.connection_context():
        numbers = "SELECT 0 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < " + str(rows)
        cast = "CAST(n AS TEXT)"
        observation = f"'{OBSERVATION}'" if isinstance(database, SqliteDatabase) else f"'{OBSERVATION}'::json"
        database.execute_sql(
            f"WITH RECURSIVE numbers AS ({numbers}) INSERT INTO prediction (observation_id, observation, proba, "
            "predicted_class, threshold, model_version, created_at) "
            f"SELECT {cast}, {observation}, n / (n + 1.5), CASE WHEN n % 2 = 0 THEN 'true' ELSE 'false' END, 0.5, "
            f"'0123456789ab', '{created_at}' FROM numbers".replace("%", "%%" if database.param == "%s" else "%"),
            (),
        )


def insert(database: Database, key: str, **values: object) -> int:
    """Inserts one prediction and returns its primary key."""
    usual = {"observation": OBSERVATION, "proba": 0.5, "predicted_class": "true", "created_at": datetime.now(UTC)}
    id_: int = (
        Prediction.insert(observation_id=key, **{**usual, **values}).returning(Prediction.id).execute(database)[0].id
    )
    return id_
