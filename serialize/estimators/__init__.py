"""Estimators of this project. A pickled model refers to them by module and name, so both must not change."""

from serialize.estimators.pair_classifier import PairClassifier

__all__ = ["PairClassifier"]
