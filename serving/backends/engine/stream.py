"""A reply in pieces while it is decoded: complete characters only, and nothing that a stop string may still cut.

The pieces of a reply are a prefix of its final text; the receiver adds the rest when the reply is complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from serving.request import Reply

Tell = Callable[[str], bool]
"""Receives the next piece, in the worker's thread; "" only checks for a listener. False: the rest is not needed."""

CUT = "\N{REPLACEMENT CHARACTER}"


class Pieces:
    """From the tokens of a row so far to pieces of text. A row that is decoded again continues where it was."""

    def __init__(self, to_text: Callable[[list[int]], str], stop: Sequence[str], tell: Tell) -> None:
        self._to_text, self._stop, self._tell = to_text, stop, tell
        self._said = ""

    def __call__(self, tokens: list[int]) -> bool:
        """Pass on the text that is final; return whether the rest is needed."""
        text = certain(self._to_text(tokens), self._stop)
        piece = text[len(self._said) :] if text.startswith(self._said) else ""
        self._said += piece
        try:
            return self._tell(piece)
        except Exception:  # a listener's error must not end other replies
            return False


def certain(text: str, stop: Sequence[str]) -> str:
    """Return the part of an unfinished text that no later token can change or cut."""
    text = text.rstrip(CUT)  # bytes of an incomplete character
    ends = [at for each in stop if (at := text.find(each)) >= 0]
    if ends:
        return text[: min(ends)]
    held = (size for each in stop for size in range(1, len(each)) if text.endswith(each[:size]))
    return text[: len(text) - max(held, default=0)]


async def pieces(submit: Callable[[Tell], Future[Reply]]) -> AsyncGenerator[str | Reply]:
    """Yield the pieces of a reply, never empty, and last the reply; closing the generator frees its row.

    Args:
        submit: Queues the request with the function that receives the pieces, and returns the reply's future.
    """
    loop = asyncio.get_running_loop()
    heard: asyncio.Queue[str | Future[Reply]] = asyncio.Queue()
    listening, said = True, ""

    def post(item: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended, so nobody listens any more
            loop.call_soon_threadsafe(heard.put_nowait, item)

    def tell(piece: str) -> bool:
        if piece:
            post(piece)
        return listening and not loop.is_closed()

    future = submit(tell)
    future.add_done_callback(post)
    try:
        while isinstance(item := await heard.get(), str):
            said += item
            yield item
        reply = item.result()
        if len(reply.text) > len(said):
            yield reply.text[len(said) :]
        yield reply
    finally:
        listening = False
        future.cancel()
