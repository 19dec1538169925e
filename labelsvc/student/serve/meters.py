"""What Prometheus reads: requests, batches, labels, and how far what is seen now lies from the student's pool.

Probabilities are kept as they come and counted later, many at once, so that counting delays no answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from labelsvc import __version__
from labelsvc.records import RowCount
from labelsvc.student.infer import Student
from labelsvc.student.metadata import BINS, StudentPolicy, Words, best_of, stability

TEXT = "text/plain; version=0.0.4; charset=utf-8"
COUNTED_AT = 1_024  # rows that are kept before they are counted
WINDOW = 10_000  # newest rows, of which shares are compared with the pool's
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Said(Collector):
    """What the student said: labels, confidence, and whether its newest rows resemble its pool."""

    def __init__(self, student: Student, policy: StudentPolicy) -> None:
        self._classes = student.classes
        self._pool = student.pool
        self._policy = policy
        self._uncounted: list[NDArray[np.float32]] = []
        self._rows = 0
        self._labeled = np.zeros(len(student.classes), np.int64)
        self._all = Words.none(len(student.classes))
        self._confidence_sum = 0.0
        self._window: deque[Words] = deque()
        self.failed = 0  # pictures that could not be decoded

    def add(self, probabilities: NDArray[np.float32]) -> None:
        """Keep what was said of some rows [rows, classes]."""
        self._uncounted.append(probabilities)
        self._rows += len(probabilities)
        if self._rows >= COUNTED_AT:
            self.count()

    def count(self) -> RowCount:
        """Count what was kept, and return what became of all rows so far."""
        if self._uncounted:
            self._count(np.concatenate(self._uncounted))
            self._uncounted, self._rows = [], 0
        labeled, said = int(self._labeled.sum()), self._all.rows
        return RowCount(said + self.failed, labeled, said - labeled, self.failed)

    def _count(self, probabilities: NDArray[np.float32]) -> None:
        best, confidence = best_of(probabilities)
        accepted = self._policy.accepts(best, confidence, self._classes)
        words = Words.of(best, confidence, len(self._classes))
        self._labeled += np.bincount(best[accepted], minlength=len(self._classes))
        self._all += words
        self._confidence_sum += float(confidence.sum())
        self._window.append(words)
        while sum(part.rows for part in self._window) - self._window[0].rows >= WINDOW:
            self._window.popleft()

    def collect(self) -> Iterator[Metric]:
        """Yield the counts as Prometheus wants them."""
        rows = self.count()
        outcomes = CounterMetricFamily("labelsvc_rows", "Rows answered.", labels=["outcome"])
        for outcome in ("labeled", "abstained", "failed"):
            outcomes.add_metric([outcome], getattr(rows, outcome))
        labels = CounterMetricFamily("labelsvc_labels", "Labels given.", labels=["label"])
        for name, count in zip(self._classes, self._labeled.tolist(), strict=True):
            labels.add_metric([name], count)
        yield from (outcomes, labels, self._confidence(), *self._stability())

    def _confidence(self) -> Metric:
        found = HistogramMetricFamily("labelsvc_confidence", "How sure the student was of its best class.")
        below = np.cumsum(self._all.confidence).tolist()
        bounds = [*(str((place + 1) / BINS) for place in range(BINS - 1)), "+Inf"]
        found.add_metric([], list(zip(bounds, below, strict=True)), self._confidence_sum)
        return found

    def _stability(self) -> Iterator[Metric]:
        window = sum(self._window, Words.none(len(self._classes)))
        yield GaugeMetricFamily("labelsvc_window_rows", "Newest rows that drift is measured on.", value=window.rows)
        if self._pool is None or not window.rows:
            return
        told = "Population stability index of the newest rows against the pool, by what: from 0.25 another population."
        drift = GaugeMetricFamily("labelsvc_drift", told, labels=["of"])
        drift.add_metric(["class"], stability(self._pool.classes, window.classes))
        drift.add_metric(["confidence"], stability(self._pool.confidence, window.confidence))
        yield drift


class Meters:
    """All that is measured while serving."""

    def __init__(self, student: Student, policy: StudentPolicy, *, name: str) -> None:
        self._registry = CollectorRegistry()
        self.said = Said(student, policy)
        self._registry.register(self.said)
        ProcessCollector(registry=self._registry)
        self._requests = Counter("labelsvc_requests", "Requests answered.", ["route", "code"], registry=self._registry)
        self._seconds = Histogram(
            "labelsvc_request_seconds", "Time to answer.", ["route"], buckets=SECONDS, registry=self._registry
        )
        self._batches = Histogram(
            "labelsvc_batch_rows", "Rows computed at once.", buckets=ROWS, registry=self._registry
        )
        build = Info("labelsvc_build", "What is served.", registry=self._registry)
        build.info({"version": __version__, "name": name, "model": student.origin.get("labelsvc.model", "")})
        self.batch = self._batches.observe

    def watch_queue(self, rows_waiting: Callable[[], int]) -> None:
        """Show how many rows wait."""
        gauge = Gauge("labelsvc_queue_rows", "Rows taken and not answered.", registry=self._registry)
        gauge.set_function(rows_waiting)

    @cache  # noqa: B019 - there are few routes and codes, and one of these
    def _meters_of(self, route: str, code: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(route, str(code)), self._seconds.labels(route)

    def answered(self, route: str, code: int, seconds: float) -> None:
        """Count a request."""
        count, clock = self._meters_of(route, code)
        count.inc()
        clock.observe(seconds)

    def text(self) -> bytes:
        """Return all of it in Prometheus's text format."""
        return generate_latest(self._registry)
