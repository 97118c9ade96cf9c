"""Makes titanic.csv from the ARFF file of OpenML data set 40945 that comes with scikit-learn."""

import gzip
import io
from pathlib import Path

import pandas as pd
import sklearn

SOURCE = Path(sklearn.__file__).parent / "datasets/tests/data/openml/id_40945/data-v1-dl-16826755.arff.gz"
NAMES = ("Pclass", "Survived", "name", "Sex", "Age", "SibSp", "Parch", "ticket", "Fare", "Cabin", "Embarked")
KEPT = ["Pclass", "Sex", "Age", "SibSp", "Parch", "Fare", "Cabin", "Embarked", "Survived"]


def passengers() -> pd.DataFrame:
    """The 1,309 passengers with the kept columns, numbers as they are written in the source."""
    rows = gzip.decompress(SOURCE.read_bytes()).decode().partition("@data")[2]
    table = pd.read_csv(
        io.StringIO(rows), names=[*NAMES, "boat", "body", "home"], na_values="?", escapechar="\\", dtype=str
    )
    return table[KEPT]


if __name__ == "__main__":
    passengers().to_csv(Path(__file__).with_name("titanic.csv"), index=False, lineterminator="\n")
