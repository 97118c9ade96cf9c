"""vetiver, asked for probabilities through a handler of one's own, as its documentation shows."""

import os
from typing import Any

import joblib
import pandas as pd
from vetiver import VetiverAPI, VetiverModel
from vetiver.handlers.sklearn import SKLearnHandler


class Probabilities(SKLearnHandler):  # type: ignore[misc]
    """Answers predict_proba in place of predict."""

    def handler_predict(self, input_data: Any, check_prototype: bool) -> Any:
        rows = input_data if isinstance(input_data, pd.DataFrame) else pd.DataFrame(input_data)
        return self.model.predict_proba(rows).tolist()


pipeline = joblib.load(os.environ["MODEL"])
model = VetiverModel(Probabilities(pipeline, None), "titanic")
app = VetiverAPI(model, check_prototype=False).app
