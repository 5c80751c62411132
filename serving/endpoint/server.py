"""An OpenAI-compatible endpoint over anything that answers in this process: /v1/models and /v1/chat/completions.

Every request needs the key. A streamed reply is sent in pieces as it is decoded, once its batch has begun; the row of a
client that disconnects is freed, streamed or not. Bodies, connections and waiting times are limited (`limits`).
Not covered: TLS, other endpoints (completions, embeddings, responses), tools, images.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import socket
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Protocol

import uvicorn
from anyio import CancelScope
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.endpoint.completions import Form, Refused, read
from serving.endpoint.limits import MAX_CONNECTIONS, Limited, Punctual
from serving.errors import BadInput
from serving.refs import Checkpoint
from serving.request import Reply, Request

# How long a Ctrl-C waits for replies in progress.
LONGEST_GOODBYE_S = 5
# As nginx counts them; nobody reads the response.
CLIENT_GONE = 499


class Engine(Protocol):
    """What the endpoint needs of an engine."""

    async def agenerate(self, checkpoint: Checkpoint, request: Request) -> Reply:
        """Return one reply."""
        ...

    def astream(self, checkpoint: Checkpoint, request: Request) -> AsyncGenerator[str | Reply]:
        """Yield the pieces of a reply, then the reply; closing the generator ends it."""
        ...


def application(named: Mapping[str, Checkpoint], key: str, engine: Engine) -> ASGIApp:
    """Return the endpoint for these checkpoints, by the names that clients use."""
    offer = _Offer(named, engine)
    routes = [
        Route("/v1/models", offer.models),
        Route("/v1/models/{name:path}", offer.model),
        Route("/v1/chat/completions", offer.chat, methods=["POST"]),
    ]
    handlers = {Refused: _refused, HTTPException: _no_such_route, Exception: _failed}
    return _Locked(Limited(Starlette(routes=routes, exception_handlers=handlers)), key)


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 means any free one.

    Raises:
        BadInput: The port is taken, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    place = socket.socket(family, socket.SOCK_STREAM)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        place.bind((host, port))
        place.listen()  # a client may connect as soon as the address is printed
    except OSError as error:
        place.close()
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"{host}:{port}: {reason}: choose another --port or --host") from error
    return place


def run(app: ASGIApp, place: socket.socket) -> None:
    """Serve until Ctrl-C (then it returns) or SIGTERM."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        http=Punctual,
        limit_concurrency=MAX_CONNECTIONS,
        server_header=False,
        timeout_graceful_shutdown=LONGEST_GOODBYE_S,
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[place])


class _Offer:
    """The handlers. They run on one event loop; the engine gathers their requests into batches."""

    def __init__(self, named: Mapping[str, Checkpoint], engine: Engine) -> None:
        self._named, self._engine, self._since = dict(named), engine, int(time.time())

    async def models(self, http: HttpRequest) -> Response:
        return JSONResponse({"object": "list", "data": [self._card(name) for name in self._named]})

    async def model(self, http: HttpRequest) -> Response:
        return JSONResponse(self._card(self._known(http.path_params["name"])))

    async def chat(self, http: HttpRequest) -> Response:
        asked = read(await _content(http), lambda name: self._named[self._known(name)].defaults)
        checkpoint = self._named[asked.model]
        form = Form(f"chatcmpl-{secrets.token_hex(12)}", int(time.time()), asked.model, checkpoint.fingerprint)
        try:
            pieces = self._engine.astream(checkpoint, asked.request)
            if not asked.stream:
                return await _whole(http, form, pieces)
            first = await anext(pieces)  # an error before the first piece can still be sent as a status
            _refuse_beyond_context(first)
        except BadInput as error:
            raise Refused(400, error.message) from error
        return StreamingResponse(_events(form, first, pieces, asked.include_usage), media_type="text/event-stream")

    def _known(self, name: str) -> str:
        if name not in self._named:
            known = ", ".join(self._named)
            raise Refused(404, f"no model '{name}': the models are {known}", "model_not_found", "model")
        return name

    def _card(self, name: str) -> dict[str, object]:
        checkpoint = self._named[name]
        known = {field: getattr(checkpoint, field) for field in ("fingerprint", "step", "setting", "variant")}
        return {"id": name, "object": "model", "created": self._since, "owned_by": "bct", **known}


async def _content(http: HttpRequest) -> object:
    """The body of a request, parsed. Raises Refused where it is not JSON, too deep, or not text."""
    try:
        content = await http.json()
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(400, f"the body is not JSON: {reason}") from error
    return content


async def _whole(http: HttpRequest, form: Form, pieces: AsyncGenerator[str | Reply]) -> Response:
    """The reply in one body. A client that disconnects ends it."""
    with CancelScope() as scope:
        watch = asyncio.create_task(_cancel_if_gone(http, scope))
        try:
            async with aclosing(pieces):
                reply = [piece async for piece in pieces if isinstance(piece, Reply)][-1]
            _refuse_beyond_context(reply)
            return JSONResponse(form.whole(reply))
        finally:
            watch.cancel()
    return Response(status_code=CLIENT_GONE)


async def _cancel_if_gone(http: HttpRequest, scope: CancelScope) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _refuse_beyond_context(reply: str | Reply) -> None:
    if isinstance(reply, Reply) and reply.stop_reason == "model_length" and not reply.output_tokens:
        message = f"the prompt has {reply.input_tokens} tokens, which leaves none of the model's context for a reply"
        raise Refused(400, f"{message}: shorten it", "context_length_exceeded", "messages")


class _Locked:
    """Rejects every request without the key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app, self._expected = app, f"bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._fits(dict(scope["headers"]).get(b"authorization", b"")):
            refused = Refused(401, "the API key is missing or wrong", "invalid_api_key")
            await JSONResponse(refused.body, refused.status)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _fits(self, given: bytes) -> bool:
        scheme, _, key = given.partition(b" ")
        return hmac.compare_digest(scheme.lower() + b" " + key.strip(), self._expected)


async def _events(
    form: Form, first: str | Reply, rest: AsyncGenerator[str | Reply], include_usage: bool
) -> AsyncGenerator[str]:
    """Yield server-sent events. When the client disconnects, the generator is closed, and with it the reply.

    The format is one line per event, so no library is used for it.
    """
    async with aclosing(rest):
        yield _event(form.first())
        item = first
        while isinstance(item, str):
            yield _event(form.piece(item))
            item = await anext(rest)
        for chunk in form.last(item, include_usage):
            yield _event(chunk)
    yield "data: [DONE]\n\n"


def _event(chunk: Mapping[str, object]) -> str:
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n"


async def _refused(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse(error.body, error.status)


async def _no_such_route(http: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = Refused(error.status_code, f"{http.method} {http.url.path}: {error.detail.lower()}")
    return JSONResponse(refused.body, refused.status, headers=error.headers)


async def _failed(http: HttpRequest, error: Exception) -> Response:
    # The server's terminal shows the traceback; the client gets only the kind of error.
    refused = Refused(500, f"the model failed to reply ({type(error).__name__}): see the server's terminal")
    return JSONResponse(refused.body, refused.status)
