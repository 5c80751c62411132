"""A local server with the addresses of the hub and of raw.githubusercontent.com, for files that a test gives it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class HubServer(ThreadingHTTPServer):
    """Files by (repo, revision, path). `asked` lists the requests for files: (method, path, range, authorization).

    `polled` counts other requests; `cut_after` closes one connection after so many bytes.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.asked: list[tuple[str, str, str | None, str | None]] = []
        self.polled = 0
        self.cut_after: int | None = None
        self.token: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def forget(self) -> None:
        self.asked, self.polled = [], 0

    def said(self, method: str) -> list[str | None]:
        """The byte ranges of all requests with this method."""
        return [span for each, _, span, _ in self.asked if each == method]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path, span, login = urlsplit(self.path).path, self.headers.get("Range"), self.headers.get("Authorization")
        parts = unquote(path).strip("/").split("/")
        if parts[0] == "api":  # what huggingface_hub wants to know about its caller
            self.server.polled += 1
            return self.refuse(404, "EntryNotFound")
        if parts[0] == "datasets":  # datasets/OWNER/NAME/resolve/REVISION/PATH
            _, owner, name, _, revision, *file = parts
        else:  # OWNER/NAME/REVISION/PATH
            owner, name, revision, *file = parts if len(parts) > 3 else ["", "", "", ""]
        repo = f"{owner}/{name}"
        self.server.asked.append((self.command, path, span, login))
        if self.server.token and login != f"Bearer {self.server.token}":
            return self.refuse(401, "GatedRepo")
        content = self.server.files.get((repo, revision, "/".join(file)))
        if content is None:
            revisions = {of for at, of, _ in self.server.files if at == repo}
            codes = {True: "EntryNotFound", False: "RevisionNotFound"}
            return self.refuse(404, codes[revision in revisions] if revisions else "RepoNotFound")
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        self.send_response(206 if span else 200)
        if span:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("X-Repo-Commit", revision)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if body and self.server.cut_after is not None:
            cut, self.server.cut_after = self.server.cut_after, None
            self.wfile.write(content[start:cut])
            self.close_connection = True
        elif body:
            self.wfile.write(content[start:])

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serving() -> Iterator[HubServer]:
    with HubServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
