"""Recipes and settings from strangers: a table of files that are broken, malicious or without end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

Forge = Callable[[Path], object]

ESCAPE = '"\\e[2J\\e]0;owned\\a=evil()"'
HEAD = "setting: sandbagging\nlearning_rates: [1.0e-3]\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MAPS = "a: &a {x: y}\n" + "".join(
    f"{b}: &{b} {{p: *{a}, q: *{a}, r: *{a}, s: *{a}}}\n"
    for a, b in zip("abcdefghijklmnop", "bcdefghijklmnopq", strict=True)
)


def text(content: str | bytes) -> Forge:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def link(target: str) -> Forge:
    return lambda path: path.symlink_to(target)


def data_file(make: Forge) -> Forge:
    """A recipe whose prompts are in a file next to it."""

    def forge(path: Path) -> None:
        make(path.with_name("data.jsonl"))
        path.write_text(f"{HEAD}source: files\ndata: {{train: data.jsonl, eval: data.jsonl}}\n", encoding="utf-8")

    return forge


def by_path(name: str, make: Forge) -> Forge:
    """A recipe whose setting is a file next to it."""

    def forge(path: Path) -> None:
        make(path.with_name(name))
        path.write_text(f"setting: ./{name}\nlearning_rates: [1.0e-3]\n", encoding="utf-8")

    return forge


SETTING = """\
name: mine
initial: says yes
alternate: says no
variants: {static: {}}
"""
ANY: dict[str, Forge] = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a device": link("/dev/zero"),
    "a random device": link("/dev/urandom"),
    "a link to itself": link("strange.yaml"),
    "nothing": lambda path: None,
    "a secret": link("/etc/passwd"),
    "empty": text(""),
    "spaces": text(" \n\t\n"),
    "a list": text("- a\n- b\n"),
    "a word": text("evil"),
    "a number": text("3"),
    "null": text("null"),
    "two documents": text(f"{HEAD}---\n{HEAD}"),
    "nul bytes": text(b"\x00" * 100),
    "binary": text(bytes(range(256)) * 10),
    "latin-1": text(b"setting: \xe9\n"),
    "UTF-16": text(HEAD.encode("utf-16")),
    "a byte order mark": text(b"\xef\xbb\xbfevil: 1\n"),
    "control characters": text(f"setting: {ESCAPE}\n"),
    "an escape in a key": text(f"{ESCAPE}: 1\n"),
    "a list bomb": text(BOMB + "setting: *i\n"),
    "a list bomb in a key of arms": text(HEAD + BOMB + "arms: *i\n"),
    "a mapping bomb": text(MAPS + "setting: *q\n"),
    "a list in itself": text("setting: &a [*a]\n"),
    "a mapping in itself": text("setting: &a {b: *a}\n"),
    "merge keys": text("a: &a {x: 1}\nb:\n  <<: *a\n"),
    "merge keys in a circle": text("a: &a\n  <<: *a\n"),
    "deep lists": text("setting: " + "[" * 5000 + "]" * 5000),
    "deep mappings": text("setting: " + "{a: " * 5000 + "}" * 5000),
    "deep lines": text("".join(f"{' ' * at}a:\n" for at in range(2000))),
    "a tag of Python": text("setting: !!python/object/apply:os.system ['touch RAN']\n"),
    "an unknown tag": text("setting: !evil x\n"),
    "a binary tag": text("setting: !!binary '///'\n"),
    "a set": text("setting: !!set {a, b}\n"),
    "a date": text("setting: 2026-13-45\n"),
    "a key twice": text(f"{HEAD}setting: inoculation\n"),
    "a key of a list": text("? [a, b]\n: x\n"),
    "a key of a mapping": text("? {a: b}\n: x\n"),
    "a number as key": text("1: x\nsetting: sandbagging\n"),
    "an unclosed string": text('setting: "evil\n'),
    "tabs": text("setting:\n\t- x\n"),
    "an unknown alias": text("setting: *evil\n"),
    "a long line": text("setting: " + "x" * 3_000_000),
    "many keys": text("".join(f"key{at}: 1\n" for at in range(60_000))),
    "a long number": text("setting: " + "9" * 10_000 + "\n"),
    "separators": text("setting: a\u2028b\u0085c\n"),
    "a directive": text("%YAML 9.9\n---\nsetting: x\n"),
}

VALUES: dict[str, tuple[str, ...]] = {
    "learning_rates": (".nan", ".inf", "-1", "0", "[]", "x", "[[1.0e-3]]", "1.0e+400", "{a: b}", "true", "null"),
    "seeds": ("-1", "x", "1.5", "9" * 400, "[]", "{data: x}", "{evil: [0]}", "true"),
    "steps": ("0", "-5", "1.0e+9", "9" * 400, "9999999999999999999999999999", "x", "null", ".inf"),
    "batch_size": ("0", "-1", "99999999999999999999999", "x"),
    "n": ("0", "-1", "99999999999999", "x"),
    "n_train": ("-1", "99999999999999"),
    "n_capability": ("99999999999999", ".nan"),
    "rank": ("0", "-1", "9" * 300, "x"),
    "rows": ("0", "-3", "99999999999999"),
    "checkpoints": ("log3", "[0]", "[-1]", "[99999999]", "[x]", "{a: b}"),
    "setting": ("evil", "../../../etc/passwd", "/dev/zero", "/etc", "3", "[[]]", "{a: b}", ESCAPE, "''", "os"),
    "variants": ("evil", "[[]]", "3", ESCAPE),
    "method": ("evil", "3", ESCAPE, "__import__('os')"),
    "model": (
        "evil/../..",
        "/dev/zero",
        "/etc/passwd",
        "/etc",
        "3",
        "{ref: [x]}",
        "{evil: x}",
        ESCAPE,
        "''",
        "{dtype: evil}",
        "{ref: mini, chat_template_kwargs: {messages: []}}",
        "{ref: mini, chat_template_kwargs: x}",
    ),
    "organism": ("x", "{ref: /dev/zero}", "{steps: -1}", "{evil: 1}", "{ref: mini, base: mini}", "{seeds: []}", "[]"),
    "generation": ("x", "{temperature: .nan}", "{temperature: -1}", "{max_tokens: 0}", "{epochs: 0}", "{evil: 1}"),
    "labels": ("x", "{temperature: .inf}", "{system: 3}"),
    "judge": ("x", "{}", "{model: 3}", "{model: evil/evil}", "{model: openai/x, max_unscored: 3}", "{mode: evil}"),
    "capability": (
        "x",
        "{source: evil}",
        "{source: files}",
        "{source: files, data: /dev/zero}",
        "{source: files, data: /etc}",
    ),
    "serving": ("x", "{backend: evil}", "{options: x}", "{backend: engine, options: {evil: 1}}"),
    "source": ("evil", "3", "files", "[a]"),
    "data": ("x", "{train: /dev/zero, eval: /dev/zero}", "{evil: x}", "{train: [x]}"),
    "thresholds": ("x", "{evil: 1}", "{kept: .nan}", "{confidence: 3}", "{confidence: .nan}", "[]"),
    "expect": ("3", "[3]", "[{says: x}]", "[{says: x, name: evil}]", "{a: b}", "[[x]]"),
    "compare": (
        *("x", "{evil: [1, 2]}", "{rank: x}", "[]", "{rank: [8, 8]}", "{lr: [evil, 1]}", "{rank: [{a: b}, [[8]]]}"),
        *(
            "{rank: [[], []]}",
            "{rank: [[8], 3]}",
            "{label_source: [[[a, b]], [c, d]]}",
            "{kl: {a: b}}",
            "{label_source: [2020-01-01, 2021-01-01]}",
        ),
    ),
    "trl": ("x", "{evil: 1}", "{output_dir: /etc}", "{learning_rate: 1}", "{optim: evil}", "[]"),
    "resources": ("x", "{gpus: -1}", "{cpus: .nan}", "{memory_gb: -3}"),
    "reversal": ("x", "{at: -1}", "{at: evil}", "{steps: 0}"),
    "arms": ("x", "[]", "[3]", "[[]]", "[{evil: 1}]", "[{arms: []}]", "{a: b}"),
    "name": ("[]", "{a: b}", "''", "../../evil", ESCAPE),
    "question": ("[]", "{a: b}", ESCAPE, "=evil()"),
    "gate": ("x", "{initial: 3}", "{evil: 1}"),
    "evil": ("1",),
}


def _with(key: str, value: str) -> Forge:
    head = "".join(line for line in HEAD.splitlines(True) if not line.startswith((f"{key}:", f"{key}s:")))
    return text(f"{head}{key}: {value}\n")


RECIPES: dict[str, Forge] = {
    **ANY,
    **{f"{key} {value:.40}": _with(key, value) for key, values in VALUES.items() for value in values},
    "cells without end": text(
        f"setting: sandbagging\nlearning_rates: [{', '.join(f'{at}.0e-6' for at in range(1, 2000))}]\n"
        f"seeds: [{', '.join(map(str, range(2000)))}]\nranks: [{', '.join(map(str, range(1, 500)))}]\n"
    ),
    "arms without end": text("learning_rates: [1.0e-3]\narms:\n" + "- {setting: sandbagging}\n" * 5_000),
    **{f"data {what}": data_file(make) for what, make in ANY.items() if what != "a link to itself"},
    **{f"setting {what}": by_path("mine.yaml", make) for what, make in ANY.items() if what != "a link to itself"},
    "setting in Python, a pipe": by_path("mine.py", os.mkfifo),
    "setting in Python, a folder": by_path("mine.py", os.mkdir),
    "setting in Python, a device": by_path("mine.py", link("/dev/zero")),
    "setting in Python, not Python": by_path("mine.py", text("def (:")),
    "setting in Python, nul": by_path("mine.py", text(b"\x00")),
    "setting in Python without one": by_path("mine.py", text("x = 1")),
    "setting of a slow expression": by_path(
        "mine.yaml",
        text("name: mine\nreplies:\n  yes: {regex: '(x+x+)+y'}\n  no: {regex: '('}\n"),
    ),
}
