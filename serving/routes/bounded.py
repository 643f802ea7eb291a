"""FastAPI's routes with the service's own manners: bodies bounded before they are read, JSON without guesses."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from serving.refusals import of_status
from serving.routes.rest import Limits, timely_body

T = TypeVar("T")
LONGEST: Final = 4 << 20
"""Bytes of a body that is parsed on the event loop."""
BODY_TIMEOUT_S: Final = 20.0
_JSON: Final = (b"content-type", b"application/json")


class _Strict(Request):
    """A request whose JSON holds no key twice and no number that JSON does not know."""

    async def json(self) -> Any:
        """Return the body's value.

        Raises:
            JSONDecodeError: it is no JSON, nests too deeply, holds a key twice, NaN or infinity.
        """
        content = (await self.body()).decode(errors="replace")
        try:
            return json.loads(content, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
        except json.JSONDecodeError:
            raise
        except (ValueError, RecursionError) as error:
            raise json.JSONDecodeError(str(error)[:200], content[:64], 0) from error


class BoundedRoute(APIRoute):
    """A route that reads no more than :data:`LONGEST` bytes, and not for ever."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler behind our reading of the body."""
        inner = super().get_route_handler()
        takes_body = self.body_field is not None

        async def handler(request: Request) -> Response:
            strict = _Strict(request.scope, request.receive)
            if takes_body:
                # Every body here is JSON, whatever a client's default says of it.
                others = [header for header in request.scope["headers"] if header[0] != b"content-type"]
                strict = _Strict({**request.scope, "headers": [*others, _JSON]}, request.receive)
                limits = Limits(LONGEST, BODY_TIMEOUT_S)
                strict._body = await timely_body(request.scope, request.receive, limits)
            return await inner(strict)

        return handler


async def while_there(request: Request, work: Awaitable[T]) -> T:
    """Return what ``work`` returns; where the asker goes away first, it is cancelled.

    Raises:
        RefusedError: 408, for the books: nobody is there to read it.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise of_status(408, "the asker went away before the answer")
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")
