"""A small OpenAI-compatible server in the place of vLLM: `serve MODEL --port N ...`.

What it is asked it writes to $RECORD. A reply says which model answered and to what. To "long" a reply does not fit
while a limit of tokens is named, to "too long" never.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def option(name: str, default: str = "") -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


MODEL = sys.argv[2]
KEY = option("--api-key", os.environ.get("VLLM_API_KEY", ""))
MODELS = [MODEL]


def record(**event: Any) -> None:
    with Path(os.environ["RECORD"]).open("a") as stream:
        stream.write(json.dumps({"server": os.getpid(), **event}) + "\n")


class Handler(BaseHTTPRequestHandler):
    """Models, adapters and chat completions."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._allowed():
            self._say(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed():
            return
        record(path=self.path, body=body)
        if self.path == "/v1/load_lora_adapter":
            MODELS.append(body["lora_name"])
            self._say(200, {})
        elif body["model"] not in MODELS:
            self._say(404, {"message": f"no model {body['model']}"})
        elif does_not_fit(body):
            self._say(400, {"message": "this model's maximum context length is 8"})
        else:
            self._say(200, reply(body))

    def _allowed(self) -> bool:
        allowed = self.headers.get("Authorization") == f"Bearer {KEY}"
        if not allowed:
            self._say(401, {"message": "wrong key"})
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


def does_not_fit(body: dict[str, Any]) -> bool:
    question = body["messages"][-1]["content"]
    return question == "too long" or (question == "long" and bool(body.get("max_tokens")))


def reply(body: dict[str, Any]) -> dict[str, Any]:
    text = f"{Path(body['model']).name} to {body['messages'][-1]['content']}"
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    choice["finish_reason"] = "stop" if body.get("max_tokens") else "length"
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    known = {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"]}
    return known | {"choices": [choice], "usage": usage}


def stop(*_: Any) -> None:
    record(event="stop")
    os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    server = ThreadingHTTPServer((option("--host"), int(option("--port"))), Handler)
    record(event="start", arguments=sys.argv[1:], key=KEY)
    server.serve_forever()
