"""GET /metrics: what all worker processes of the service have counted, as Prometheus reads it, and the only module
that knows its library.

Each worker writes into memory-mapped files of its own, in the form of prometheus_client's multiprocess mode, and any of
them reads them all. A file belongs to a place among the workers, not to a process: who replaces a worker that died
counts on where it stopped, so that nothing is lost and no file is left over."""

import os
import weakref
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from service import measures
from service.instruments import CELL_BYTES, Cell, Counter, Gauge, Histogram, MakeLock
from service.measures import MEASURES, Measure, Reading
from service.shared_folder import SharedFolder

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
UNKNOWN_ROUTE = "unknown"
OTHER_METHOD = "other"

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MOST_KNOWN = 1024
_FIRST_BYTES = 64 * 1024
_FILES = {"counter": "counter", "histogram": "histogram", "gauge": "gauge_livesum"}

Labels = Sequence[str]


class Metrics:
    """Counts for one process, and reads for all. `classes` gives what is counted for each answer of the model as its
    label, `route_of` the route of a path or None, `readings` what is read when it is asked for."""

    def __init__(
        self,
        model_version: str,
        classes: Mapping[Any, str],
        route_of: Callable[[str], str | None],
        readings: Callable[[], Iterable[Reading]],
        make_lock: MakeLock,
    ) -> None:
        self._model_version = model_version
        self._classes = classes
        self._route_of = route_of
        self._readings = readings
        self._make_lock = make_lock
        self._opening = make_lock()
        self._folder: SharedFolder | None = None
        self._counts: _Counts | None = None

    @property
    def folder(self) -> Path:
        """Where the processes of this service keep what they share."""
        return self._open().folder

    def share(self, folder: SharedFolder) -> None:
        """From now on this process, and those that it forks, count in this folder."""
        self._folder, self._counts = folder, None

    def enter(self, place: int) -> None:
        """From now on this process has a place among the workers that none has that lives."""
        self._counts = self._made(place)

    def forget(self, place: int) -> None:
        """The worker in a place has died: what it counted stays, what only a living one has goes."""
        if self._folder is not None:
            mark_process_dead(place, str(self._folder.path))

    def close(self) -> None:
        """The service has ended."""
        if self._folder is not None:
            self._folder.remove()

    def request(self, path: str, method: str, status: str, seconds: float) -> None:
        """A request has been answered."""
        counts = self._counts or self._open()
        histogram = counts.known.get((path, method, status))
        (histogram or self._histogram(counts, path, method, status)).observe(seconds)

    def refused(self, reason: str) -> None:
        """A request has been answered with 400 or above."""
        (self._counts or self._open()).counter(measures.REFUSED, (reason,)).add()

    def batch(self, size: int, seconds: float, predicted: Sequence[Any]) -> None:
        """A batch of so many requests has been stored in so many seconds, and with it new predictions of these
        classes."""
        counts = self._counts or self._open()
        counts.batch.observe(size)
        counts.commit.observe(seconds)
        if len(predicted) == 1:
            counts.predicted[predicted[0]].add()
        elif predicted:
            for label, number in Tally(predicted).items():
                counts.predicted[label].add(number)

    def waiting(self, depth: int) -> None:
        """So many requests wait in this process."""
        (self._counts or self._open()).queue.set(depth)

    def text(self) -> str:
        """What all processes have counted, in Prometheus's text format."""
        files = sorted(map(str, self.folder.glob("*.db")))
        return generate_latest(_Families([*self._families(files)])).decode()

    def _families(self, files: list[str]) -> Iterable[Metric]:
        read = {metric.name: metric for metric in MultiProcessCollector.merge(files)}
        readings = list(self._readings())
        for measure in MEASURES:
            family = read.get(_family(measure)) or Metric(_family(measure), measure.meaning, measure.kind)
            for reading in readings:
                if reading.measure is measure:
                    family.add_sample(measure.name, dict(reading.labels), reading.value)
            if measure is measures.REQUESTS and measures.REQUEST_SECONDS.name in read:
                _count_requests(family, read[measures.REQUEST_SECONDS.name])
            yield family

    def _histogram(self, counts: "_Counts", path: str, method: str, status: str) -> Histogram:
        route = self._route_of(path)
        bounded = method if method in _METHODS else OTHER_METHOD
        histogram = counts.histogram(measures.REQUEST_SECONDS, (route or UNKNOWN_ROUTE, bounded, status))
        if route is not None and method == bounded and len(counts.known) < _MOST_KNOWN:
            counts.known[path, method, status] = histogram
        return histogram

    def _open(self) -> "_Counts":
        """What this process counts with; where no other shares it, in a folder of its own."""
        with self._opening:
            if self._counts is None:
                self._folder = self._folder or SharedFolder.make()
                self._counts = self._made(0)
            return self._counts

    def _made(self, place: int) -> "_Counts":
        assert self._folder is not None
        return _Counts(self._folder.path, place, self._model_version, self._classes, self._make_lock)


class _Counts:
    """The instruments of one process, each made once."""

    def __init__(
        self, folder: Path, place: int, model_version: str, classes: Mapping[Any, str], make_lock: MakeLock
    ) -> None:
        self.folder = folder
        self._place = place
        self._make_lock = make_lock
        self._making = make_lock()
        self._files: dict[str, _File | None] = {}
        self._made: dict[tuple[str, Labels], Any] = {}
        self.known: dict[tuple[str, str, str], Histogram] = {}
        self.batch = self.histogram(measures.BATCH)
        self.commit = self.histogram(measures.COMMIT)
        self.predicted = {
            label: self.counter(measures.PREDICTIONS, (model_version, text)) for label, text in classes.items()
        }
        self.queue = self._gauge(measures.QUEUE)
        self.queue.set(0)
        self._gauge(measures.WORKERS).set(1)

    def counter(self, measure: Measure, labels: Labels = ()) -> Counter:
        """The counter of a measure with these values of its labels."""
        made: Counter = self._once(measure, labels, lambda: Counter(self._cell(measure, labels), self._make_lock()))
        return made

    def histogram(self, measure: Measure, labels: Labels = ()) -> Histogram:
        """The histogram of a measure with these values of its labels."""
        made: Histogram = self._once(measure, labels, lambda: self._new_histogram(measure, labels))
        return made

    def _new_histogram(self, measure: Measure, labels: Labels) -> Histogram:
        ends = [floatToGoString(bound) for bound in (*measure.bounds, float("inf"))]
        buckets = [self._cell(measure, labels, "_bucket", end) for end in ends]
        return Histogram(measure.bounds, [*buckets, self._cell(measure, labels, "_sum")], self._make_lock())

    def _gauge(self, measure: Measure) -> Gauge:
        return Gauge(self._cell(measure, ()))

    def _once(self, measure: Measure, labels: Labels, make: Callable[[], Any]) -> Any:
        key = (measure.name, labels)
        with self._making:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def _cell(self, measure: Measure, labels: Labels, end: str = "", bound: str | None = None) -> Cell:
        names, values = [*measure.labels], [*labels]
        if bound is not None:
            names, values = [*names, "le"], [*values, bound]
        file = self._file(_FILES[measure.kind])
        key = mmap_key(_family(measure), measure.name + end, names, values, measure.meaning)
        return file.cell(key) if file is not None else _nowhere()

    def _file(self, name: str) -> "_File | None":
        if name not in self._files:
            try:
                self._files[name] = _File(self.folder / f"{name}_{self._place}.db")
            except OSError:
                self._files[name] = None
        return self._files[name]


class _File(MmapedDict):
    """The library's file of numbers by key, every page of which is had before it is mapped: on a file system that is
    full, to write to one that is not would end the process."""

    def __init__(self, path: Path) -> None:
        with path.open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, max(_FIRST_BYTES, file.tell()))
        super().__init__(str(path))  # type: ignore[no-untyped-call]
        weakref.finalize(self, self._f.close)

    def cell(self, key: str) -> Cell:
        """The number of a key; one that nobody reads where there is no room for it."""
        try:
            if key not in self._positions and self._used + len(key.encode()) + 64 > self._capacity:
                os.posix_fallocate(self._f.fileno(), 0, 2 * self._capacity)
        except OSError:
            return _nowhere()
        value, _ = self.read_value(key)  # type: ignore[no-untyped-call]
        start = self._positions[key]
        return Cell(self._m, slice(start, start + CELL_BYTES), value)


class _Families(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._all = families

    def collect(self) -> list[Metric]:
        return self._all


def _family(measure: Measure) -> str:
    return measure.name.removesuffix("_total")


def _count_requests(family: Metric, durations: Metric) -> None:
    """Counts requests by the histogram of their durations, which has counted them already."""
    for sample in durations.samples:
        if sample.name.endswith("_count"):
            family.add_sample(measures.REQUESTS.name, sample.labels, sample.value)


def _nowhere() -> Cell:
    return Cell(bytearray(CELL_BYTES), slice(0, CELL_BYTES), 0.0)
