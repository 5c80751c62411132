"""A server of OpenAI's API in a thread of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from serving.endpoint import limits, server


@contextmanager
def running(app: Any) -> Iterator[str]:
    """An endpoint as `bct serve` runs it, in a thread of this process."""
    place = server.listen("127.0.0.1", 0)
    runner = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", http=limits.Punctual))
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [place]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{place.getsockname()[1]}/v1"
    runner.should_exit = True
    thread.join(10)
