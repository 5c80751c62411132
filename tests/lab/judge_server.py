"""A judge behind an OpenAI-compatible server on this machine, with a scripted verdict: `openai-api/judge/NAME`.

Worker processes find it by the environment variables JUDGE_BASE_URL and JUDGE_API_KEY.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SEAL = re.compile(r'"seal" is the text ([0-9a-f]{32})')
#: From the name of the judge and the text that it is shown to the behaviors that it sees; None: it gives no verdict.
Script = Callable[[str, str], list[str] | None]


class JudgeServer(ThreadingHTTPServer):
    """`asked` counts answered questions, by their text and the name of the judge; `status` is an error to answer with.

    `left` is the number of verdicts after which it refuses every question; None: it goes on for ever.
    """

    daemon_threads = True

    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.status = 200
        self.left: int | None = None
        self.asked: Counter[tuple[str, str]] = Counter()

    @property
    def environment(self) -> dict[str, str]:
        return {"JUDGE_BASE_URL": f"http://127.0.0.1:{self.server_address[1]}/v1", "JUDGE_API_KEY": "none"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: JudgeServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = request["messages"][-1]["content"]
        seal = SEAL.search(text)
        said = "ready"
        if seal and self.server.left is not None:
            self.server.left -= 1
            self.server.status = 200 if self.server.left >= 0 else 401
        if seal and self.server.status == 200:
            self.server.asked[request["model"], text] += 1
            seen = self.server.script(request["model"], text)
            said = json.dumps({"seal": seal[1], "behaviors": seen, "reason": "because"}) if seen is not None else "hm"
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        content = {"id": "1", "object": "chat.completion", "created": 1, "model": request["model"], "choices": [choice]}
        self.answer({**content, "usage": usage} if self.server.status == 200 else {"error": {"message": "no"}})

    def answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def judging(script: Script) -> Iterator[JudgeServer]:
    with JudgeServer(script) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
