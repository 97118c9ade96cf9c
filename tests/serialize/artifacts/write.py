"""Writes the artifact of the present format that `test_formats.py` reads: `python -m tests.serialize.artifacts.write`.

Run it when FORMAT is raised and released, and never again for an older format. The model is a GaussianNB without a
pipeline around it, because its pickle loads with many versions of scikit-learn."""

from pathlib import Path

import pandas as pd
from sklearn.naive_bayes import GaussianNB

from serialize import dump
from serialize.manifest import FORMAT

FOLDER = Path(__file__).parent
X = pd.DataFrame({"age": [31.5, 40.25, 22.0, 64.0, 51.5, 18.75], "rank": [1, 2, 3, 1, 2, 3], "old": [True, False] * 3})
Y = ["no", "yes", "no", "yes", "yes", "no"]


if __name__ == "__main__":
    dump(
        GaussianNB().fit(X, Y),
        X,
        Y,
        FOLDER / str(FORMAT),
        name="stored",
        threshold=0.25,
        bounds={"age": (0, 120)},
        categories=["rank"],
    )
