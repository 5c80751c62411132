"""A small server in the place of vLLM: `serve MODEL --uds SOCKET ...`, or `--port N` with $VLLM_API_KEY.

What it is asked it writes to $RECORD. A reply repeats the last five tokens of its prompt and ends with `<|end|>`.
"""

from __future__ import annotations

import json
import os
import signal
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

END = 5


def option(name: str, default: str = "") -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


MODEL = option("--served-model-name", sys.argv[2])
KEY = os.environ.get("VLLM_API_KEY", "")
MODELS = [MODEL]


def record(**event: Any) -> None:
    with Path(os.environ["RECORD"]).open("a") as stream:
        stream.write(json.dumps({"server": os.getpid(), **event}) + "\n")


class Handler(BaseHTTPRequestHandler):
    """Models, adapters and completions."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._allowed():
            cards = [{"id": name, "parent": None if name == MODEL else MODEL} for name in MODELS]
            self._say(200, {"object": "list", "data": cards})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed():
            return
        record(path=self.path, body=body)
        if self.path == "/v1/load_lora_adapter":
            MODELS.append(body["lora_name"])
            self._say(200, {})
        elif body["model"] not in MODELS:
            self._say(404, {"error": {"message": f"no model {body['model']}"}})
        else:
            self._say(200, {"choices": [{"token_ids": [*body["prompt"][-5:], END], "finish_reason": "stop"}]})

    def _allowed(self) -> bool:
        allowed = not KEY or self.headers.get("Authorization") == f"Bearer {KEY}"
        if not allowed:
            self._say(401, {"error": "wrong key"})
        return allowed

    def _say(self, status: int, content: dict[str, Any]) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class OnSocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def stop(*_: Any) -> None:
    record(event="stop")
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    if "--uds" in sys.argv:
        server: Any = OnSocket(option("--uds"), Handler)
    else:
        server = ThreadingHTTPServer((option("--host"), int(option("--port"))), Handler)
    record(event="start", arguments=sys.argv[1:], pid=os.getpid())
    server.serve_forever()
