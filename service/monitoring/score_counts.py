"""The distinct probabilities in ascending order, with the counts of both true classes for each. All metrics of a binary
model follow from these counts."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from service.monitoring import intervals
from service.monitoring.intervals import Array, MetricValue
from service.pacing import give_way
from service.storage.column_cache import Rows

BINS = 10

# With more levels than this per row, sorting the rows is faster than counting by level.
_LEVELS_PER_ROW = 16
_EDGES = np.linspace(0, 1, BINS + 1)[1:-1]
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class ScoreCounts:
    """k distinct probabilities, ascending, and the counts of both classes, all of shape (k,). Expected counts need not
    be integers."""

    proba: Array
    positives: Array
    negatives: Array

    @classmethod
    def of(cls, proba: Array, truth: Array) -> "ScoreCounts":
        """The counts of n rows: probabilities of the positive class, and whether it is true."""
        order = np.argsort(proba)
        return cls._of_sorted(proba[order], truth[order].astype(np.float64), np.ones(len(proba)))

    @classmethod
    def of_outputs(cls, rows: Rows, truth: Array) -> "ScoreCounts":
        """The counts of the outputs of n rows as probabilities, and of a mask of those whose class is true."""
        if rows.levels is None or rows.level is None or len(rows.levels) > _LEVELS_PER_ROW * len(rows):
            return cls.of(rows.output.clip(0.0, 1.0), truth)
        count = np.bincount(rows.level, minlength=len(rows.levels))
        give_way()
        true_level = rows.level[truth]
        give_way()
        positives = np.bincount(true_level, minlength=len(rows.levels))
        give_way()
        present = np.flatnonzero(count)
        levels = rows.levels[present].clip(0.0, 1.0)
        return cls._of_sorted(levels, positives[present].astype(np.float64), count[present].astype(np.float64))

    @classmethod
    def _of_sorted(cls, proba: Array, positives: Array, count: Array) -> "ScoreCounts":
        """The counts of probabilities in ascending order, some of them equal."""
        if not len(proba):
            return cls(proba, positives, count)
        starts = np.flatnonzero(np.concatenate([[True], np.diff(proba) > 0]))
        positives = np.add.reduceat(positives, starts)
        return cls(proba[starts], positives, np.add.reduceat(count, starts) - positives)

    def binned(self, most: int) -> "ScoreCounts":
        """At most `most` bins with about equal counts, each with its mean probability."""
        if len(self.proba) <= most:
            return self
        count = self.positives + self.negatives
        place = np.minimum((np.cumsum(count) - count / 2) / count.sum() * most, most - 1).astype(np.int64)
        both = np.bincount(place, count, most)
        filled = both > 0
        positives, proba = np.bincount(place, self.positives, most), np.bincount(place, self.proba * count, most)
        return ScoreCounts(proba[filled] / both[filled], positives[filled], (both - positives)[filled])

    def metrics(self) -> dict[str, MetricValue]:
        """ROC AUC, average precision, log loss, Brier score and expected calibration error, in this order."""
        has_both = self.positives.sum() > 0 and self.negatives.sum() > 0
        p = self.proba
        return {
            "roc_auc": self._roc_auc() if has_both else MetricValue(),
            "average_precision": self._average_precision() if has_both else MetricValue(),
            "log_loss": self._mean_loss(*(-np.log(q.clip(_EPSILON, 1 - _EPSILON)) for q in (p, 1 - p))),
            "brier_score": self._mean_loss((1 - p) ** 2, p**2),
            "expected_calibration_error": self._calibration_error(),
        }

    def calibration(self) -> dict[str, Any] | None:
        """The bins of the reliability diagram and the parts of the Brier score: reliability - resolution + uncertainty
        (Murphy 1973) + the part within the bins (Stephenson, Coelho and Jolliffe 2008). The sum is exact."""
        if not len(self.proba):
            return None
        count, positives, proba = self._in_ten_bins()
        bins = [
            {
                "from": i / BINS,
                "to": (i + 1) / BINS,
                "count": int(count[i]),
                "mean_proba": float(proba[i] / count[i]) if count[i] else None,
                "share": asdict(intervals.proportion(float(positives[i]), float(count[i]))),
            }
            for i in range(BINS)
        ]
        filled, total, rate = count > 0, count.sum(), positives.sum() / count.sum()
        share, mean = positives[filled] / count[filled], proba[filled] / count[filled]
        parts = {
            "reliability": float(count[filled] @ (mean - share) ** 2 / total),
            "resolution": float(count[filled] @ (share - rate) ** 2 / total),
            "uncertainty": float(rate * (1 - rate)),
        }
        binned = parts["reliability"] - parts["resolution"] + parts["uncertainty"]
        brier = float(self.positives @ (1 - self.proba) ** 2 + self.negatives @ self.proba**2) / float(total)
        return {"bins": bins, "brier_score": {**parts, "within_bins": brier - binned}}

    def _roc_auc(self) -> MetricValue:
        """The share of ordered pairs, ties as a half, with the variance of DeLong et al. (1988) on the logit scale."""
        positives, negatives = float(self.positives.sum()), float(self.negatives.sum())
        beaten = (np.cumsum(self.negatives) - self.negatives / 2) / negatives
        beating = (positives - np.cumsum(self.positives) + self.positives / 2) / positives
        value = float(self.positives @ beaten / positives)
        variance = _variance(self.positives, beaten, value) + _variance(self.negatives, beating, value)
        if not variance > 0 or not 0 < value < 1:
            return intervals.auc_interval(value, positives, negatives)
        return intervals.on_logit(value, variance)

    def _average_precision(self) -> MetricValue:
        """The mean precision at the positives, with the logit interval of Boyd, Eng and Page (2013), or Wilson's for
        a value of 1."""
        positives = float(self.positives.sum())
        found = positives - np.cumsum(self.positives) + self.positives
        kept = found + float(self.negatives.sum()) - np.cumsum(self.negatives) + self.negatives
        value = float(self.positives @ (found / kept) / positives)
        if not 0 < value < 1:
            return intervals.proportion(value * positives, positives)
        return intervals.on_logit(value, value * (1 - value) / positives)

    def _mean_loss(self, of_positive: Array, of_negative: Array) -> MetricValue:
        count = float(self.positives.sum()) + float(self.negatives.sum())
        if not count:
            return MetricValue()
        total = float(self.positives @ of_positive + self.negatives @ of_negative)
        of_positive, of_negative = of_positive - total / count, of_negative - total / count
        squares = self.positives @ (of_positive * of_positive) + self.negatives @ (of_negative * of_negative)
        return intervals.mean(total, float(squares), count, least=0.0)

    def _in_ten_bins(self) -> tuple[Array, Array, Array]:
        """Rows, positives and sum of probabilities in ten bins of equal width, (a, b], the first with its lower end."""
        positives, negatives = ([part.sum() for part in self._split(each)] for each in (self.positives, self.negatives))
        parts = zip(*map(self._split, (self.proba, self.positives, self.negatives)), strict=True)
        proba = [float(p @ positive + p @ negative) for p, positive, negative in parts]
        return np.array(positives) + np.array(negatives), np.array(positives), np.array(proba)

    def _split(self, values: Array) -> list[Array]:
        """Splits an array of shape (k,) into the ten bins."""
        return np.split(values, np.searchsorted(self.proba, _EDGES, side="right"))

    def _calibration_error(self) -> MetricValue:
        """The mean distance between share and mean probability of a bin (Naeini, Cooper and Hauskrecht 2015), with a
        bootstrap of the counts of the bins and, by their normal limit, of the sums within them."""
        count, positives, proba = self._in_ten_bins()
        total = float(count.sum())
        if not total:
            return MetricValue()
        value = float(np.abs(positives - proba).sum() / total)
        if total < 2:
            return MetricValue(value)
        gap = np.divide(positives - proba, count, out=np.zeros(BINS), where=count > 0)
        parts = zip(*map(self._split, (self.proba, self.positives, self.negatives)), gap, strict=True)
        squares = [positive @ (1 - p - mean) ** 2 + negative @ (p + mean) ** 2 for p, positive, negative, mean in parts]
        spread = np.sqrt(np.divide(squares, count, out=np.zeros(BINS), where=count > 0))
        drawn = intervals.draws(np.rint(count))
        noise = np.random.default_rng(1).standard_normal(drawn.shape)
        samples = np.abs(drawn * gap + np.sqrt(drawn) * spread * noise).sum(axis=1) / total
        return intervals.resampled([value], samples[:, None])[0]


def _variance(weights: Array, placements: Array, value: float) -> float:
    count = float(weights.sum())
    return float(weights @ (placements - value) ** 2 / (count - 1) / count) if count > 1 else math.nan
