"""Run folders from strangers: a table of folders that are broken or malicious, each made from an honest run by a line.

`RUNS` changes a copy of a run without its weights. Texts that a terminal, a spreadsheet or a browser would act on are
in every place that one of the commands prints.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

Forge = Callable[[Path], object]

ESCAPE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil"
FORMULA = '=HYPERLINK("http://evil","x")'
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
NASTY = f"{FORMULA} {ESCAPE} {SCRIPT} [bold]"
NAN = float("nan")
DEEP = "[" * 100_000 + "]" * 100_000
HUGE = 10**400

CONTENTS: dict[str, str | bytes] = {
    "empty": "", "a list": "[]", "null": "null", "not JSON": "{'a': 1}", "deep": DEEP, "latin-1": b'{"a": "\xe9"}',
    "an object": "{}", "a long number": '{"a": ' + "9" * 10_000 + "}", "nul bytes": b"\x00" * 64, "a text": '"x"',
}  # fmt: skip


def write(pattern: str, content: str | bytes) -> Forge:
    """Write every file of a pattern; one that is not there yet is created where the pattern is a name."""

    def forge(run: Path) -> None:
        for file in list(run.glob(pattern)) or [run / pattern]:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)

    return forge


def change(pattern: str, **values: Any) -> Forge:
    """Set fields of every JSON file of a pattern."""

    def forge(run: Path) -> None:
        for file in list(run.glob(pattern)):
            content = json.loads(file.read_text(encoding="utf-8")) | values
            file.unlink()
            file.write_text(json.dumps(content), encoding="utf-8")

    return forge


def fifo(pattern: str) -> Forge:
    def forge(run: Path) -> None:
        for file in list(run.glob(pattern)) or [run / pattern]:
            file.unlink(missing_ok=True)
            os.mkfifo(file)

    return forge


def folder(pattern: str) -> Forge:
    def forge(run: Path) -> None:
        for file in list(run.glob(pattern)) or [run / pattern]:
            file.unlink(missing_ok=True)
            file.mkdir()

    return forge


def link(pattern: str, target: str) -> Forge:
    def forge(run: Path) -> None:
        for file in list(run.glob(pattern)) or [run / pattern]:
            file.unlink(missing_ok=True)
            file.symlink_to(target)

    return forge


def gone(pattern: str) -> Forge:
    return lambda run: [file.unlink() if not file.is_dir() else shutil.rmtree(file) for file in list(run.glob(pattern))]


def everywhere(file: str, word: Any) -> Forge:
    """Put a value in the place of every text of a JSON file."""

    def forge(run: Path) -> None:
        for path in list(run.glob(file)):
            content = _replaced(json.loads(path.read_text(encoding="utf-8")), word)
            path.unlink()
            path.write_text(json.dumps(content), encoding="utf-8")

    return forge


def _replaced(part: Any, word: Any) -> Any:
    if isinstance(part, dict):
        return {key: _replaced(value, word) for key, value in part.items()}
    if isinstance(part, list):
        return [_replaced(value, word) for value in part]
    return word if isinstance(part, str) else part


# --- logs -----------------------------------------------------------------------------------------


def logs(of: Callable[[str, bytes], bytes | None], pattern: str = "logs/**/*.eval") -> Forge:
    """Change the members of every log; None leaves one out."""

    def forge(run: Path) -> None:
        for path in list(run.glob(pattern)):
            with zipfile.ZipFile(path) as log:
                members = {name: log.read(name) for name in log.namelist()}
            path.unlink()
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as log:
                for name, content in members.items():
                    changed = of(name, content)
                    if changed is not None:
                        log.writestr(name, changed)

    return forge


def member(ending: str, content: bytes | None) -> Forge:
    return logs(lambda name, before: content if name.endswith(ending) else before)


def text_of_logs(before: str, after: str) -> Forge:
    return logs(lambda _, content: content.replace(before.encode(), after.encode()))


def inside(ending: str, word: Any) -> Forge:
    """Put a value in the place of every text of the members with an ending."""

    def changed(name: str, content: bytes) -> bytes:
        return json.dumps(_replaced(json.loads(content), word)).encode() if name.endswith(ending) else content

    return logs(changed)


def scores(**values: Any) -> Forge:
    """Change every score in the summaries and the samples."""

    def changed(name: str, content: bytes) -> bytes:
        if not ("summaries" in name or name.startswith("samples/")):
            return content
        read = json.loads(content)
        for sample in read if isinstance(read, list) else [read]:
            for score in (sample.get("scores") or {}).values():
                score.update(values)
        return json.dumps(read).encode()

    return logs(changed)


EVALS, DONE, STARTS, STATES = "logs/**/*.eval", "cells/*/done.json", "starts/*.json", "state/*.json"
MANIFESTS, TRAINED, METRICS = "cells/*/manifest.json", "cells/*/trained.json", "cells/*/metrics.jsonl"
JSON = ("run.json", DONE, STARTS, STATES, MANIFESTS, TRAINED, "registered.json", "results.json")

FIELDS: dict[str, dict[str, tuple[Any, ...]]] = {
    "run.json": {
        "name": (3, NASTY), "recipe": (None, "a\x00b"), "logs": (3, "/etc", "a\x00b"), "home": (3, NASTY),
        "static_gate": ("x", {"sandbagging.static": "x"}, {"sandbagging.static": [NASTY]}), "names": ({"a": 3}, []),
        "settings": ({"a": 3},), "identity": (10**9,),
    },
    STATES: {
        "phase": (NASTY, 3), "error": (NASTY, 3), "step": ("x", -1, NAN), "total": (-1, 1e308),
        "seconds": (NAN, 1e308), "began": ("x", -1e308), "evil": (1,),
    },
    DONE: {
        "logs": (
            "x", [3], [{}], None, [{"step": 0, "log": "/etc/passwd", "fingerprint": NASTY}],
            [{"step": NAN, "log": 3, "fingerprint": 3}], [{"step": 1, "log": NASTY, "fingerprint": "x"}],
        ),
    },
    STARTS: {"logs": ("x", {}, {"start": NASTY, "ceiling": "logs"}), "fingerprint": (3, NASTY), "figures": ("x", {"initial": NASTY})},
    TRAINED: {"step0_loss": ("x", NAN), "label_source": (NASTY, 3), "evil": (NASTY,)},
}  # fmt: skip
LINES: dict[str, str | bytes] = {
    "a list": "[]\n", "latin-1": b"\xe9\n", "strings": '{"step": "x", "loss": "y"}\n', "deep": DEEP + "\n",
    "NaN": '{"step": 1, "loss": NaN, "lr": NaN}\n', "far": '{"step": 1e400}\n',
    "a nasty text": json.dumps({"step": 1, "loss": NASTY, NASTY: NASTY}) + "\n",
}  # fmt: skip
LOGS: dict[str, Forge] = {
    "empty": write(EVALS, b""),
    "a zip of nothing": write(EVALS, b"PK\x05\x06" + b"\x00" * 18),
    "as JSON": write(EVALS, "{}"),
    "spoiled": lambda run: [_spoil(run, path) for path in list(run.glob(EVALS))],
    "header gone": member("header.json", None),
    "header a list": member("header.json", b"[]"),
    "header deep": member("header.json", DEEP.encode()),
    "header nasty": inside("header.json", NASTY),
    "header numbers": inside("header.json", 3),
    "summaries gone": member("summaries.json", None),
    "summaries of numbers": member("summaries.json", b"[3, null]"),
    "summaries deep": member("summaries.json", DEEP.encode()),
    "summaries nasty": inside("summaries.json", NASTY),
    "summaries numbers": inside("summaries.json", 3),
    "samples of nothing": logs(lambda name, content: b"[]" if name.startswith("samples/") else content),
    "a bomb": member("summaries.json", b"[" + b" " * 300_000_000 + b"]"),
    "scores of texts": scores(value=NASTY),
    "scores of numbers": scores(value=3),
    "scores null": scores(value=None),
    "scores of all": scores(value={"initial": 1.0, "alternate": 1.0, "other": 1.0, "degenerate": 1.0}),
    "told nothing": scores(metadata=NASTY),
    "margins nasty": scores(metadata={"margin": NASTY, "outcome": NASTY, "greedy": NASTY}),
    "another setting": text_of_logs("sandbagging", "inoculation"),
    "templates": text_of_logs('"template":', '"template": 3, "t":'),
    "ids": text_of_logs('"id":"', '"id":"=1+1 '),
    "families": text_of_logs('"family":"', '"family":"\\u001b[2J=1+1 '),
}
RUNS: dict[str, Forge] = {
    **{f"run.json {what}": write("run.json", content) for what, content in CONTENTS.items()},
    **{f"{file} {what}": write(file, CONTENTS[what]) for file in JSON[1:] for what in ("deep", "an object", "a list")},
    **{f"{file} a pipe": fifo(file) for file in ("run.json", DONE, METRICS, "recipe.yaml", EVALS, ".driver.lock")},
    **{f"{file} a folder": folder(file) for file in ("run.json", DONE, METRICS, "recipe.yaml", EVALS, ".driver.lock")},
    **{f"{file} a device": link(file, "/dev/zero") for file in (METRICS, "recipe.yaml", DONE)},
    **{f"{file} a secret": link(file, "/etc/passwd") for file in ("run.json", EVALS)},
    **{f"{file} gone": gone(file) for file in (DONE, STARTS, METRICS, "recipe.yaml", EVALS, "cells", "state")},
    **{f"{file} of nasty texts": everywhere(file, NASTY) for file in JSON},
    **{f"{file} of numbers": everywhere(file, 3) for file in JSON},
    **{
        f"{file} {key} {value!r:.30}": change(file, **{key: value})
        for file, fields in FIELDS.items()
        for key, values in fields.items()
        for value in values
    },
    **{f"metrics {what}": write(METRICS, content) for what, content in LINES.items()},
    **{f"log {what}": forge for what, forge in LOGS.items()},
    "recipe of another setting": write("recipe.yaml", "setting: inoculation\nlearning_rates: [1.0e-3]"),
    "recipe nasty": write("recipe.yaml", f"setting: {json.dumps(NASTY)}\nlearning_rates: [1.0e-3]"),
    "labels": write("calibration/x.labels.json", json.dumps({"labels": [{"setting": NASTY}]})),
    "a reading": write("readings/evil.json", json.dumps({"judge": NASTY, "logs": 3})),
    "a link to itself": lambda run: (run / "cells" / "loop").symlink_to("."),
    "names with escapes": lambda run: (run / "cells" / ESCAPE.replace("/", "")).mkdir(),
}


def _spoil(run: Path, path: Path) -> None:
    """Damage the compressed data in the middle; the table of contents stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 + 64] = struct.pack("64s", b"\xff" * 64)
    write(str(path.relative_to(run)), bytes(content))(run)


def copy(of: Path, to: Path, forge: Forge) -> Path:
    """The folder of a case: its files are links to those of the honest run, which a forge replaces."""
    weights = shutil.ignore_patterns("step-*", "organisms", ".saving", "report.html")
    shutil.copytree(
        of, to, copy_function=os.link, ignore=lambda at, names: weights(at, names) if "logs" not in at else set()
    )
    forge(to)
    return to
