"""The species of an iris: a multiclass model of the measurements of Fisher (1936) in scikit-learn."""

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serialize.recipes.recipe import Recipe


def iris() -> Recipe:
    """150 flowers, four lengths in centimetres, three species as string labels."""
    data = load_iris(as_frame=True)
    return Recipe(
        name="iris",
        pipeline=make_pipeline(StandardScaler(), LogisticRegression()),
        X=data.data,
        y=data.target.map(dict(enumerate(map(str, data.target_names)))),
        declared={"bounds": dict.fromkeys(data.data.columns, (0, None))},
    )
