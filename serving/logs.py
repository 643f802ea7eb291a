"""Logs as JSON lines on standard error: fixed fields, no bodies, no headers, so no secrets."""

import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any, Final

import orjson

_SECRET = re.compile(r"(?i)\b(bearer|basic)\s+\S+|\bsh_[A-Za-z0-9_-]{8,}|eyJ[A-Za-z0-9_-]{10,}[.\w-]*")
HIDDEN: Final = "[hidden]"


class JsonLines(logging.Formatter):
    """One record, one line: time, level, logger, event and the fields given with it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _clean(record.getMessage()),
        }
        for name, value in getattr(record, "fields", {}).items():
            line[name] = _clean(value) if isinstance(value, str) else value
        if record.exc_info:
            line["exception"] = _clean(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


def _clean(text: str) -> str:
    return _SECRET.sub(HIDDEN, text)


def configure(level: str) -> None:
    """Send everything from ``level`` on to standard error, as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("superheat", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False
    # Its own words about listeners and shutdown are said by us, with our fields.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
