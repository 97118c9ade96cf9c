"""GET /metrics for all worker processes, with the metrics and the memory-mapped files of prometheus_client. Each worker
writes its own files, and a scrape on any worker reads all of them. Files belong to a worker slot, not to a process: the
replacement of a killed worker takes its slot and continues its counts."""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from service.batching import native_lock
from service.telemetry import metric_definitions as metrics
from service.telemetry.metric_definitions import MetricSpec, Sample
from service.telemetry.multiprocess_dir import MultiprocessDir, make_room

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MAX_CACHED_PATHS = 256
_TYPES: dict[str, Any] = {"counter": Counter, "histogram": Histogram, "gauge": Gauge}
_FILES = {"counter": "counter", "histogram": "histogram", "gauge": "gauge_livesum"}

# The most that a time series takes in a file: its names, its help text, and each character of a label value as JSON.
_MAX_ENTRY_BYTES, _MAX_CHARACTER_BYTES = 512, 12

# Greenlets and native threads share these locks, so nothing may switch greenlets while it holds one.
_making, _counting = native_lock(), native_lock()


class Metrics:
    """The metrics of one application. `route_of` maps a path to its route or None; `samples` returns the gauges that a
    scrape computes. If the file system is full, counts are lost."""

    def __init__(self, route_of: Callable[[str], str | None], samples: Callable[[], Iterable[Sample]]) -> None:
        self._predictions: dict[tuple[str, Any], tuple[str, str]] = {}
        self._route_of = lru_cache(_MAX_CACHED_PATHS)(route_of)
        self._samples = samples
        self._dir: MultiprocessDir | None = None
        self._slot = 0
        self._files: dict[str, MmapedDict] = {}
        self._metrics: dict[tuple[str, tuple[str, ...]], Any] = {}
        weakref.finalize(self, _close, self._files)

    def add_model(self, version: str, classes: Mapping[Any, str]) -> None:
        """Counts the predictions of a model too, from 0. `classes` maps a predicted class to its label value."""
        added = {(version, label): (version, text) for label, text in classes.items()}
        self._predictions |= added
        if self._metrics:
            for labels in added.values():
                self._metric(metrics.PREDICTIONS, labels)

    @property
    def directory(self) -> Path:
        """The directory that the processes of this service share. Raises OSError if it cannot be made."""
        self._metric(metrics.WORKERS)
        if self._dir is None:
            raise FileNotFoundError("The directory of the metrics could not be made.")
        return self._dir.path

    def share(self, directory: MultiprocessDir) -> None:
        """Makes this process, and processes forked from it later, count in a directory."""
        _close(self._files)
        self._dir, self._metrics = directory, {}

    def use_slot(self, slot: int) -> None:
        """Makes this process count in a slot that no other living process uses."""
        _close(self._files)
        self._slot, self._metrics = slot, {}
        self.waiting(0)

    def mark_dead(self, slot: int) -> None:
        """Removes the gauges of a worker that has ended. Its counts stay."""
        if self._dir is not None:
            mark_process_dead(slot, str(self._dir.path))

    def close(self) -> None:
        """Removes the directory if this process made it."""
        if self._dir is not None:
            self._dir.remove()

    def request(self, path: str, method: str, status: str, seconds: float) -> None:
        """Counts a request that took `seconds`. The number of label values that clients can create is limited."""
        labels = (self._route_of(path) or "unknown", method if method in _METHODS else "other", status)
        self._metric(metrics.REQUESTS, labels).inc()
        self._metric(metrics.REQUEST_SECONDS, labels).observe(seconds)

    def refused(self, reason: str) -> None:
        """Counts a response with a status of 400 or above."""
        self._metric(metrics.REFUSED, (reason,)).inc()

    def batch(self, size: int, seconds: float, predicted: Mapping[tuple[str, Any], int]) -> None:
        """Counts a batch of `size` requests that was stored in `seconds`, and its new predictions by version and
        class."""
        self._metric(metrics.BATCH).observe(size)
        self._metric(metrics.COMMIT).observe(seconds)
        for label, number in predicted.items():
            self._metric(metrics.PREDICTIONS, self._predictions[label]).inc(number)

    def array(self, path: str, way: str) -> None:
        """Counts a request with an array, by its path and by how it was processed: by columns or by items."""
        self._metric(metrics.ARRAYS, (path, way)).inc()

    def waiting(self, depth: int) -> None:
        """Sets the number of requests that wait in this process."""
        self._metric(metrics.QUEUE).set(depth)

    def lacks_champion(self, lacks: bool) -> None:
        """Sets whether this process cannot serve the champion."""
        self._metric(metrics.NO_CHAMPION).set(lacks)

    def dropped_log_line(self) -> None:
        """Counts a line that was not written to the output."""
        self._metric(metrics.DROPPED_LINES).inc()

    def render(self) -> str:
        """The metrics of all processes in the text format of Prometheus."""
        return generate_latest(self).decode()

    def collect(self) -> Iterator[Metric]:
        """The metrics of all processes, in the order of their definitions."""
        files = sorted(map(str, self.directory.glob("*.db")))
        families = {family.name: family for family in MultiProcessCollector.merge(files)}
        samples = list(self._samples())
        for spec in metrics.METRICS:
            name = spec.name.removesuffix("_total")
            family = families.get(name) or Metric(name, spec.help, spec.kind)
            for sample in samples:
                if sample.metric is spec:
                    family.add_sample(spec.name, dict(sample.labels), sample.value)
            yield family

    def _metric(self, spec: MetricSpec, labels: tuple[str, ...] = ()) -> Any:
        return self._metrics.get((spec.name, labels)) or self._make(spec, labels)

    def _make(self, spec: MetricSpec, labels: tuple[str, ...]) -> Any:
        """Makes a metric with these label values, once; before the first, the metrics that exist from the start."""
        with _making:
            if not self._metrics:
                self._add(metrics.WORKERS).set(1)
                self._add(metrics.QUEUE).set(0)
                self._add(metrics.NO_CHAMPION).set(0)
                self._add(metrics.DROPPED_LINES)
                for predicted in self._predictions.values():
                    self._add(metrics.PREDICTIONS, predicted)
            return self._metrics.get((spec.name, labels)) or self._add(spec, labels)

    def _add(self, spec: MetricSpec, labels: tuple[str, ...] = ()) -> Any:
        options = {"buckets": spec.buckets} if spec.buckets else {}
        # The library takes its value class from a module variable. It is set only while a metric is made, so that two
        # applications in one process share nothing.
        before, values.ValueClass = values.ValueClass, partial(_FileValue, self._file(spec, labels))
        try:
            metric = _TYPES[spec.kind](spec.name, spec.help, spec.labels, registry=None, **options)
            self._metrics[spec.name, labels] = metric = metric.labels(*labels) if labels else metric
        finally:
            values.ValueClass = before
        return metric

    def _file(self, spec: MetricSpec, labels: tuple[str, ...]) -> MmapedDict | None:
        """The file for a metric, with room for these label values; None if the file system has no room."""
        name = _FILES[spec.kind]
        try:
            self._dir = self._dir or MultiprocessDir.make()
            path = self._dir.path / f"{name}_{self._slot}.db"
            make_room(path, (len(spec.buckets) + 2) * (_MAX_ENTRY_BYTES + _MAX_CHARACTER_BYTES * len("".join(labels))))
            if name not in self._files:
                self._files[name] = MmapedDict(str(path))
        except OSError:
            return None
        return self._files[name]


class _FileValue:
    """A value in a memory-mapped file, which continues the stored value. The library's own class reads the directory
    from the environment and uses threading.Lock, which gevent replaces by a lock for greenlets only."""

    def __init__(self, file: MmapedDict | None, _kind: str, family: str, *key: Any, **_: Any) -> None:
        self._file, self._key = file, mmap_key(family, *key)
        self._value = file.read_value(self._key)[0] if file is not None else 0.0

    def inc(self, amount: float) -> None:
        with _counting:
            self._write(self._value + amount)

    def set(self, value: float) -> None:
        with _counting:
            self._write(value)

    def _write(self, value: float) -> None:
        self._value = value
        if self._file is not None:
            self._file.write_value(self._key, value, 0.0)


def _close(files: dict[str, MmapedDict]) -> None:
    for file in files.values():
        file.close()
    files.clear()
