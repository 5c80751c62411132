"""The process in which foreign tokenizers, templates and patterns are tried. It forks once for each.

It reads one JSON object a line from stdin, {"task", "seconds", "bytes", ...}, and answers with one, {"problem"}: what
is wrong in a few words, or null. Each try is a fork with limits of CPU time, wall time and memory, so that whatever it
does ends there. It imports no torch, and ends itself when nothing has been asked for a while.

Not covered: isolation from files and network. Nothing here runs code of a folder: tokenizers are data, templates run in
Jinja's sandbox.
"""

from __future__ import annotations

import json
import os
import re
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tokenizers
from jinja2 import TemplateError
from transformers.utils.chat_template_utils import render_jinja_template

IDLE_S = 60.0
#: Tokens of a text, for each of its characters, and at least. A byte of UTF-8 is the smallest token there is.
MOST_TOKENS, FREE_TOKENS = 16, 4096
MOST_CHARACTERS = 5_000_000  # of a short conversation, as the template writes it
LENGTH = 2000  # of a text that is tried
SECOND = "a second turn"
SYSTEM, USER = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1 + 1?"}
REPLY = {"role": "assistant", "content": "2"}
CONVERSATIONS = ([USER], [SYSTEM, USER], [USER, REPLY], [SYSTEM, USER, REPLY, {"role": "user", "content": SECOND}])

# Any: JSON values.
Asked = Mapping[str, Any]


def main() -> None:
    """Answer requests until stdin ends or nothing is asked for `IDLE_S`."""
    waiting = sys.stdin.buffer
    list(_rendered("", {}))  # what the first rendering imports is there for all
    while select.select([waiting], [], [], IDLE_S)[0]:
        line = waiting.readline()
        if not line:
            return
        print(json.dumps({"problem": _apart(json.loads(line))}), flush=True)


def _apart(asked: Asked) -> str | None:
    """Run a task in a fork; return its problem, or how the fork ended."""
    receiving, sending = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(asked, sending)
    os.close(sending)
    try:
        return _awaited(pid, receiving, asked)
    finally:
        os.close(receiving)


def _child(asked: Asked, sending: int) -> None:
    """Work on one task and end the process."""
    try:
        if asked["task"] == "converted":  # its imports are no part of the try
            import transformers.models.auto.tokenization_auto  # noqa: F401
        _limit(asked)
        found = TASKS[asked["task"]](asked)
    except MemoryError:
        found = OUT_OF_MEMORY
    except BaseException as error:  # a panic of a tokenizer is no Exception
        found = f"fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    with suppress(BaseException):
        os.write(sending, json.dumps(found).encode())
    os._exit(0)


def _limit(asked: Asked) -> None:
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if _linux() else 0
    seconds, room = int(asked["seconds"]), now + int(asked["bytes"])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if _linux():  # elsewhere the limit is not enforced, or counts what the system shares
        resource.setrlimit(resource.RLIMIT_AS, (room, room))


def _linux() -> bool:
    return sys.platform == "linux"


OUT_OF_MEMORY = "needs more memory than is allowed"


def _awaited(pid: int, receiving: int, asked: Asked) -> str | None:
    patience = 10.0 * int(asked["seconds"])  # on a machine with other work
    ends = time.monotonic() + patience
    said = b""
    while select.select([receiving], [], [], max(0.0, ends - time.monotonic()))[0]:
        piece = os.read(receiving, 65536)
        if not piece:
            break
        said += piece
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return json.loads(said) if said else _ended(os.waitstatus_to_exitcode(status), asked)


def _ended(code: int, asked: Asked) -> str:
    if -code in (signal.SIGXCPU, signal.SIGKILL):
        return f"takes more than {asked['seconds']} s"
    return OUT_OF_MEMORY if -code == signal.SIGABRT else f"ends the process that reads it ({code})"


# --- tasks ----------------------------------------------------------------------------------------


def template(asked: Asked) -> str | None:
    """Render short conversations with a chat template."""
    for rendered in _rendered(asked["source"], asked["variables"]):
        if len(rendered) > MOST_CHARACTERS:
            return f"writes {len(rendered):,} characters for a short conversation"
    return None


def tokenizer(asked: Asked) -> str | None:
    """Load a tokenizer, and encode and decode texts that are slow for its patterns."""
    content = Path(asked["file"]).read_bytes()
    reader = tokenizers.Tokenizer.from_buffer(content)
    return next((problem for text in _texts(content) if (problem := _encoded(reader, text))), None)


def _rendered(source: str, variables: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a template makes of each conversation; one that it refuses is not a problem here."""
    for messages in CONVERSATIONS:
        for generation in (True, False):
            with suppress(TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError):
                written, _ = render_jinja_template(
                    [[dict(turn) for turn in messages]],
                    chat_template=source,
                    add_generation_prompt=generation,
                    **variables,
                )
                yield str(written[0])


def _encoded(reader: tokenizers.Tokenizer, text: str) -> str | None:
    try:
        ids = reader.encode(text).ids
    except Exception:  # a vocabulary without an unknown token refuses other characters; a panic is no Exception
        return None
    reader.decode(ids[: 2 * LENGTH])
    if len(ids) > FREE_TOKENS + MOST_TOKENS * len(text):
        return f"makes {len(ids):,} tokens of {len(text):,} characters"
    return None


def _texts(content: bytes) -> Iterator[str]:
    """Yield texts that slow a pattern down: runs of its own characters and words, and an end that it does not match.

    The end has all its characters, since a pattern fails at once where one that it needs is not in the text.
    """
    runs, end = ["x", "a", "0", " ", "\n", "é", "A", "!", "aA", "a ", "語"], "\x00"
    for pattern in _patterns(json.loads(content) | {"model": None, "added_tokens": None}):
        own = [*dict.fromkeys(character for character in pattern if character.isprintable())][:64]
        runs += own + re.findall(r"\w{2,20}", pattern)[:64]
        end += "".join(own)
    for run in dict.fromkeys(runs):
        yield (run * LENGTH)[:LENGTH] + end[:LENGTH]


def _patterns(part: Any) -> Iterator[str]:
    """Yield the patterns of a tokenizer's steps."""
    parts = list(part.values()) if isinstance(part, dict) else part if isinstance(part, list) else []
    if isinstance(part, dict):
        yield from (part[name] for name in ("Regex", "String") if isinstance(part.get(name), str))
    for each in parts:
        yield from _patterns(each)


def converted(asked: Asked) -> str | None:
    """Load a tokenizer that transformers converts from an older form."""
    from transformers import AutoTokenizer

    said: Any = AutoTokenizer.from_pretrained(asked["folder"], trust_remote_code=False, local_files_only=True)
    for text in _texts(b"{}"):
        said(text)
    return None


def patterns(asked: Asked) -> str | None:
    """Match the patterns of an adapter's configuration against the names of modules, as PEFT does."""
    for pattern in asked["patterns"]:
        try:
            forms = [
                re.compile(form.format(pattern)) for form in (r"(?:{})\Z", r"(.*\.)?({})$", r".*\.[^.]*{}\.(\d+)\.")
            ]
        except re.error as error:
            return f"the pattern {pattern[:60]!r} is none: {error}"
        for name in asked["names"]:
            for form in forms:
                form.match(name)
    return None


TASKS: dict[str, Callable[[Asked], str | None]] = {
    "template": template, "tokenizer": tokenizer, "converted": converted, "patterns": patterns,
}  # fmt: skip

if __name__ == "__main__":
    main()
