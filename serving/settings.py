"""Every setting of the service: from ``SUPERHEAT_*`` in the environment, over it the command line, checked once.

A setting's variable is its name in capitals after the prefix: ``deadline_s`` is ``SUPERHEAT_DEADLINE_S``.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self, get_args, get_type_hints

from features.errors import SettingsError

PREFIX: Final = "SUPERHEAT_"
LATEST: Final = Path("runs/latest/bundle")
"""What the last ``superheat run`` left behind."""


def _says(doc: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"doc": doc, "low": low, "high": high}


@dataclass(frozen=True)
class Settings:
    """The settings of one service process.

    Raises:
        SettingsError: a value is out of range, or two contradict each other.
    """

    bundle: Path | None = field(
        default=None,
        metadata=_says("bundle to admit and serve at start; else the last run's, or what the repository has"),
    )
    model: str | None = field(
        default=None,
        metadata=_says(
            "registered model to fetch and serve instead: models:/NAME@champion (needs the training extra)"
        ),
    )
    tracking_uri: str | None = field(
        default=None, metadata=_says("MLflow registry of --model; else the SQLite file beside the runs")
    )
    models_dir: Path = field(
        default=Path("runs/service/models"), metadata=_says("model repository: versions and their pointer")
    )
    host: str = field(default="127.0.0.1", metadata=_says("address to listen on"))
    port: int = field(default=8080, metadata=_says("port of the REST service; 0 takes a free one", 0, 65535))
    grpc_port: int = field(
        default=8081,
        metadata=_says("port of the gRPC service; 0 takes a free one, -1 turns it off", -1, 65535),
    )
    workers: int = field(
        default=1, metadata=_says("model processes per version, one runtime thread each", 1, 64)
    )
    deadline_s: float = field(
        default=5.0,
        metadata=_says("seconds after which a request is given up and its worker replaced", 0.1, 600),
    )
    waiting: int = field(
        default=256, metadata=_says("requests that may wait for a model's workers", 1, 100_000)
    )
    max_in_flight: int = field(
        default=512, metadata=_says("requests in the house at once; more are refused with 503", 1, 100_000)
    )
    max_body_bytes: int = field(
        default=16 << 20, metadata=_says("bytes of a request's body", 1 << 10, 1 << 30)
    )
    max_rows: int = field(default=8192, metadata=_says("rows of a request", 1, 1 << 20))
    max_header_bytes: int = field(
        default=32 << 10, metadata=_says("bytes of a request's line and headers", 1 << 10, 1 << 20)
    )
    body_timeout_s: float = field(
        default=20.0, metadata=_says("seconds in which a body must arrive", 0.1, 600)
    )
    keep_alive_s: int = field(default=15, metadata=_says("seconds that an idle connection is kept", 1, 3600))
    drain_s: float = field(
        default=3.0,
        metadata=_says("seconds between readiness turning 503 and the listener closing", 0.0, 600),
    )
    leave_s: float = field(
        default=30.0,
        metadata=_says("seconds to finish what was accepted, before the process ends", 0.1, 3600),
    )
    drift_period_s: float = field(
        default=60.0, metadata=_says("seconds between two looks at drift", 1, 86400)
    )
    log_level: str = field(default="info", metadata=_says("debug, info, warning or error"))
    access_log: str = field(
        default="refused", metadata=_says("requests that are logged: refused (4xx and 5xx) or all")
    )
    tls_certificate: Path | None = field(
        default=None, metadata=_says("PEM chain; with tls_key, TLS on both ports")
    )
    tls_key: Path | None = field(default=None, metadata=_says("PEM private key of the certificate"))
    keys_file: Path = field(
        default=Path("runs/service/keys.json"),
        metadata=_says("API keys, hashed; superheat-serve keys makes and revokes them"),
    )
    ledger: str = field(
        default="sqlite:///runs/service/ledger.db",
        metadata=_says("database of the ledger: sqlite:///FILE or postgresql://..."),
    )
    record: str = field(
        default="",
        metadata=_says("database of posted rows: sqlite:///FILE or postgresql://...; else beside the ledger"),
    )
    advice_workers: int = field(
        default=0, metadata=_says("search processes per version, started when needed; 0 = one a core", 0, 64)
    )
    advice_deadline_s: float = field(
        default=30.0, metadata=_says("seconds for one cell's search or one post of rows", 0.1, 600)
    )
    watch_days: int = field(
        default=56,
        metadata=_says(
            "decision days over which a model's recent errors are looked at; 0 = not at all", 0, 365
        ),
    )
    rate_per_s: float = field(
        default=2000.0, metadata=_says("requests a second that one key or person may make", 0.01, 1e6)
    )
    rate_burst: int = field(
        default=4000, metadata=_says("requests that one key or person may make at once", 1, 1_000_000)
    )
    oidc_keys: Path | None = field(
        default=None,
        metadata=_says("JWKS file of the issuer's public keys; with it people's tokens are taken"),
    )
    oidc_issuer: str = field(default="", metadata=_says("iss that tokens must carry"))
    oidc_audience: str = field(default="", metadata=_says("aud that tokens must carry"))
    oidc_role_claim: str = field(
        default="superheat_role", metadata=_says("claim of a token that holds its role or roles")
    )
    oidc_lines_claim: str = field(
        default="superheat_lines", metadata=_says("claim of a token that holds its lines; * means all")
    )
    insecure_local: bool = field(
        default=False, metadata=_says("answer without keys, on a loopback address, for the first hour")
    )

    def __post_init__(self) -> None:
        """Check ranges and what belongs together."""
        for entry in fields(self):
            low, high = entry.metadata["low"], entry.metadata["high"]
            value = getattr(self, entry.name)
            if low is not None and not low <= value <= high:
                raise SettingsError(
                    f"{entry.name} is {value}; give {low:g} to {high:g} ({entry.metadata['doc']})"
                )
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise SettingsError(f"log_level is {self.log_level!r}; give debug, info, warning or error")
        if self.access_log not in ("refused", "all"):
            raise SettingsError(f"access_log is {self.access_log!r}; give refused or all")
        if self.model is not None and self.bundle is not None:
            raise SettingsError("--model and --bundle both say what to serve; give one")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("give tls_certificate and tls_key together, or neither")
        if self.insecure_local and not self.is_loopback:
            raise SettingsError(
                f"insecure_local with host {self.host!r}: without keys only a loopback address is served;"
                " create a key (superheat-serve keys create) or listen on 127.0.0.1"
            )

    @property
    def record_url(self) -> str:
        """Where posted rows are kept: as set, else a file beside the ledger's, or the ledger's own PostgreSQL."""
        if self.record or not self.ledger.startswith("sqlite"):
            return self.record or self.ledger
        scheme, _, path = self.ledger.partition(":///")
        return f"{scheme}:///{Path(path).with_name('record.db')}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach ``host``."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def read(cls, environment: Mapping[str, str], given: Mapping[str, Any] | None = None) -> Self:
        """Return the settings of ``environment`` and, over them, those ``given`` (name -> value, None = not given).

        Raises:
            SettingsError: a value cannot be read or is out of range.
        """
        hints = get_type_hints(cls)
        values: dict[str, Any] = {}
        for entry in fields(cls):
            text = environment.get(PREFIX + entry.name.upper())
            if text is not None and text != "":
                values[entry.name] = _read(entry.name, hints[entry.name], text)
        values |= {name: value for name, value in (given or {}).items() if value is not None}
        return cls(**values)


def _read(name: str, hint: Any, text: str) -> Any:
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    kind = kinds[0]
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
                text.lower()
            ]
        return kind(text)
    except (ValueError, KeyError) as error:
        wanted = "true or false" if kind is bool else f"a value of type {kind.__name__}"
        raise SettingsError(f"{PREFIX}{name.upper()} is {text[:64]!r}; give {wanted}") from error
