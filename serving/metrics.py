"""What the service counts, for Prometheus; one registry a service, so that two in one process do not mix."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The service's counters, by names that begin with ``superheat_``."""

    def __init__(self) -> None:
        """Start at zero."""
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "superheat_requests", "Requests answered", ("route", "method", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "superheat_request_seconds",
            "Seconds to the answer",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
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
        self._bound: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        bound = self._bound.get((route, method, status))
        if bound is None:
            bound = self.requests.labels(route, method, str(status)), self.seconds.labels(route)
            self._bound[route, method, status] = bound
        bound[0].inc()
        bound[1].observe(seconds)

    def text(self) -> bytes:
        """Return the exposition."""
        return generate_latest(self.registry)
