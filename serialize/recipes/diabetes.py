"""Disease progression of diabetes after one year: a regression on the data of Efron et al. (2004) in scikit-learn."""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from serialize.recipes.recipe import Recipe


def diabetes() -> Recipe:
    """442 patients, ten measurements in their original units, a score of progression from 25 to 346."""
    data = load_diabetes(as_frame=True, scaled=False)
    return Recipe(name="diabetes", pipeline=make_pipeline(StandardScaler(), RidgeCV()), X=data.data, y=data.target)
