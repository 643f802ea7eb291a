"""The service as a process: both listeners on one loop, and an end that drops nothing that was accepted.

On SIGTERM readiness turns 503 at once and answers ask for their connections to be closed; a balancer has ``drain_s``
to notice while requests are still served; then the listeners close, what was accepted is finished, and the process
ends. A second signal shortens the wait.
"""

import asyncio
import logging
import signal
import ssl
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from features.errors import SettingsError
from serving.http import BoundedHttp
from serving.routes import grpc_service
from serving.service import State
from serving.settings import Settings

_LOG = logging.getLogger("superheat.service")
_STEP: Final = 0.02


class Server(uvicorn.Server):
    """uvicorn's server, with our drain before its own shutdown and gRPC beside it."""

    def __init__(self, config: uvicorn.Config, state: State) -> None:
        """Serve ``config``'s application, whose shared state is ``state``."""
        super().__init__(config)
        self._state = state
        self._grpc: Any = None
        self._signals = 0
        self._drain_until = float("inf")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; at the second signal, do not wait any more."""
        self._signals += 1
        if self._signals == 1:
            self._state.gate.draining = True
            self._drain_until = 0.0
        else:
            self.should_exit = True
            self.force_exit = self._signals > 2

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Open both listeners; the models are proved meanwhile."""
        await super().startup(sockets=sockets)
        settings = self._state.settings
        port = self.servers[0].sockets[0].getsockname()[1]
        fields: dict[str, Any] = {"host": settings.host, "port": port}
        if settings.grpc_port >= 0:
            around = grpc_service.Surroundings(
                self._state.house,
                self._state.gate,
                self._state.access,
                self._state.metrics,
                self._state.version,
                self._state.audit,
            )
            address = f"{settings.host}:{settings.grpc_port}"
            most = settings.max_body_bytes
            self._grpc, fields["grpc_port"] = await grpc_service.start(around, address, most, _pem(settings))
        _LOG.info("live", extra={"fields": fields})

    async def on_tick(self, counter: int) -> bool:
        """Look whether the drain is over."""
        if self._state.gate.draining and not self.should_exit:
            loop = asyncio.get_running_loop()
            if not self._drain_until:
                self._drain_until = loop.time() + self._state.settings.drain_s
                _LOG.info("draining", extra={"fields": {"seconds": self._state.settings.drain_s}})
            self.should_exit = loop.time() >= self._drain_until
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Close the listeners and finish what was accepted."""
        leave = self._state.settings.leave_s
        leaving = [super().shutdown(sockets=sockets)]
        if self._grpc is not None:
            leaving.append(self._grpc.stop(leave))
        # Both at once, and the application's own end (workers, ledger) only after the last answer is out.
        lifespan, self.lifespan = self.lifespan, _Nothing()
        await asyncio.gather(*leaving)
        if not self.force_exit:
            await lifespan.shutdown()
        _LOG.info("ended", extra={"fields": {"left_inside": self._state.gate.inside}})


class _Nothing:
    """Stands in for the lifespan while the listeners close."""

    async def shutdown(self) -> None:
        """Do nothing."""


def _pem(settings: Settings) -> tuple[bytes, bytes] | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    try:
        return settings.tls_key.read_bytes(), settings.tls_certificate.read_bytes()
    except OSError as error:
        raise SettingsError(f"the TLS files cannot be read: {error.strerror}") from error


def _require_tls(settings: Settings) -> None:
    """Refuse TLS files that cannot be used, before anything listens."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key)
    except FileNotFoundError as error:
        raise SettingsError(
            f"TLS: {settings.tls_certificate} or {settings.tls_key} is not there; name the PEM files"
        ) from error
    except (ssl.SSLError, OSError) as error:
        raise SettingsError(
            f"TLS: {settings.tls_certificate} and {settings.tls_key} are no certificate chain and its private key in"
            " PEM; give the chain as tls_certificate and its unencrypted key as tls_key"
        ) from error


def serve(app: FastAPI, state: State) -> None:
    """Run ``app`` until it is told to end.

    Raises:
        SettingsError: the TLS files cannot be used.
    """
    settings = state.settings
    _require_tls(settings)
    BoundedHttp.most_header_bytes = settings.max_header_bytes
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=int(settings.leave_s) or 1,
        backlog=1024,
        ssl_certfile=str(settings.tls_certificate) if settings.tls_certificate else None,
        ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
    )
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    Server(config, state).run()
