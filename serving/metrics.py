"""What the service counts, for Prometheus; one registry a service, so that two in one process do not mix."""

import time
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass
class _Spread:
    """The seconds of one route: answers by bucket, the last beyond every bound, and the sum."""

    created: float = field(default_factory=time.time)
    counts: list[int] = field(default_factory=lambda: [0] * (len(_SECONDS) + 1))
    total: float = 0.0


class Answered(Collector):
    """Requests answered and their seconds: plain numbers while requests run, families when they are asked for."""

    def __init__(self) -> None:
        """Start at zero."""
        self._counts: dict[tuple[str, str, int], int] = {}
        self._created: dict[tuple[str, str, int], float] = {}
        self._seconds: dict[str, _Spread] = {}

    def add(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = route, method, status
        if key not in self._counts:
            self._counts[key], self._created[key] = 0, time.time()
            self._seconds.setdefault(route, _Spread())
        self._counts[key] += 1
        spread = self._seconds[route]
        spread.counts[bisect_left(_SECONDS, seconds)] += 1
        spread.total += seconds

    def collect(self) -> Iterable[Metric]:
        """Return both families."""
        requests = CounterMetricFamily(
            "superheat_requests", "Requests answered", labels=("route", "method", "status")
        )
        for (route, method, status), count in self._counts.items():
            created = self._created[route, method, status]
            requests.add_metric((route, method, str(status)), count, created)
        times = HistogramMetricFamily("superheat_request_seconds", "Seconds to the answer", labels=("route",))
        for route, spread in self._seconds.items():
            bounds = [*map(str, _SECONDS), "+Inf"]
            times.add_metric(
                (route,), list(zip(bounds, accumulate(spread.counts), strict=True)), spread.total
            )
            times.add_sample("superheat_request_seconds_created", {"route": route}, spread.created)
        return requests, times


class Metrics:
    """The service's counters, by names that begin with ``superheat_``."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        self._answered = Answered()
        self.registry.register(self._answered)
        self.refusals = Counter(
            "superheat_refusals", "Requests refused, by reason", ("code",), registry=self.registry
        )
        self.advice = Counter(
            "superheat_advice",
            "Recommendations by status, and decisions by action",
            ("what", "result"),
            registry=self.registry,
        )
        self.in_flight = Gauge("superheat_in_flight", "Requests in the house", registry=self.registry)
        self.replaced = Counter(
            "superheat_workers_replaced",
            "Model processes replaced, by reason",
            ("reason",),
            registry=self.registry,
        )
        self.versions = Gauge(
            "superheat_model_version",
            "1 for a version in operation",
            ("model", "version", "role"),
            registry=self.registry,
        )
        self.drift = Gauge(
            "superheat_drift",
            "Population stability index of recent rows",
            ("model", "feature"),
            registry=self.registry,
        )
        self.model_error = Gauge(
            "superheat_model_error",
            "Recent mean absolute error over that of the held-out days",
            ("model", "line", "outcome"),
            registry=self.registry,
        )
        self.widening = Gauge(
            "superheat_interval_widening",
            "Factor by which intervals are widened, 0 = withheld",
            ("model", "line", "outcome"),
            registry=self.registry,
        )
        self.shadow = Gauge(
            "superheat_shadow_difference",
            "Mean absolute difference",
            ("model", "output"),
            registry=self.registry,
        )
        self.shadow_requests = Gauge(
            "superheat_shadow_requests",
            "Requests scored by the shadow",
            ("model", "result"),
            registry=self.registry,
        )

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._answered.add(route, method, status, seconds)

    def text(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self.registry)
