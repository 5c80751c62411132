"""Checkpoints from strangers: a table of folders that are broken or malicious, each made by a line of code.

`FULL` changes a complete checkpoint, `ADAPTERS` a LoRA adapter on one. A forge gets the folder, next to which other
files may be written. Whatever would run code creates the file `ran` next to the folder.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Forge = Callable[[Path], object]

NAN, INFINITE = float("nan"), float("inf")
HUGE = 10**12
DEEP = "[" * 100_000 + "]" * 100_000
MODEL, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
CONFIG, GENERATION = "config.json", "generation_config.json"
TOKENS, TOKENS_CONFIG, TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
LORA = "adapter_config.json"
SLOW = "(x+x+)+y"  # exponential on a run of x
RUNS = "import pathlib\npathlib.Path({!r}).touch()\n"


# --- ways to change a file ------------------------------------------------------------------------


def change(name: str, **values: Any) -> Forge:
    """Set fields of a JSON file."""

    def forge(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).is_file() else {}
        (folder / name).write_text(json.dumps(content | values), encoding="utf-8")

    return forge


def without(name: str, *keys: str) -> Forge:
    def forge(folder: Path) -> None:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        (folder / name).write_text(json.dumps({k: v for k, v in content.items() if k not in keys}), encoding="utf-8")

    return forge


def write(name: str, content: str | bytes) -> Forge:
    def forge(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return forge


def gone(*names: str) -> Forge:
    return lambda folder: [(folder / name).unlink(missing_ok=True) for name in names]


def link(name: str, target: str) -> Forge:
    def forge(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)

    return forge


def fifo(name: str) -> Forge:
    def forge(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return forge


def directory(name: str) -> Forge:
    def forge(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()

    return forge


def both(*forges: Forge) -> Forge:
    return lambda folder: [forge(folder) for forge in forges]


def text(name: str, of: Callable[[str], str]) -> Forge:
    """Change a file's text."""

    def forge(folder: Path) -> None:
        (folder / name).write_text(of((folder / name).read_text(encoding="utf-8")), encoding="utf-8")

    return forge


# --- safetensors ----------------------------------------------------------------------------------

Header = dict[str, Any]


def raw(head: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(head) if length is None else length) + head + body


def parts(file: Path) -> tuple[Header, bytes]:
    content = file.read_bytes()
    [length] = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def header(of: Callable[[Header], object], name: str = MODEL) -> Forge:
    """Change the header in place; the data stay."""

    def forge(folder: Path) -> None:
        head, body = parts(folder / name)
        of(head)
        (folder / name).write_bytes(raw(json.dumps(head).encode(), body))

    return forge


def entry(name: str = MODEL, **values: Any) -> Forge:
    """Change the entry of the first tensor."""
    return header(lambda head: head[first(head)].update(values), name)


def first(head: Header) -> str:
    return next(name for name in head if name != "__metadata__")


def bytes_of(of: Callable[[bytes], bytes], name: str = MODEL) -> Forge:
    return lambda folder: (folder / name).write_bytes(of((folder / name).read_bytes()))


def overlapping(head: Header) -> None:
    names = [name for name in head if name != "__metadata__"]
    head[names[1]]["data_offsets"] = list(head[names[0]]["data_offsets"])


def sharded(**named: Any) -> Forge:
    """An index of the single file, with some tensors said to be elsewhere."""

    def forge(folder: Path) -> None:
        head, _ = parts(folder / MODEL)
        (folder / MODEL).rename(folder / "model-00001-of-00001.safetensors")
        names = {name: "model-00001-of-00001.safetensors" for name in head if name != "__metadata__"}
        content = {"metadata": {}, "weight_map": names | named}
        (folder / INDEX).write_text(json.dumps(content), encoding="utf-8")

    return forge


# --- code -----------------------------------------------------------------------------------------


class Runs:
    """Unpickled, it creates a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mknod, (str(self.mark),))


def ran(folder: Path) -> Path:
    """The file that exists if anything of a folder was executed."""
    return folder.parent / "ran"


def pickled(name: str) -> Forge:
    return lambda folder: (folder / name).write_bytes(pickle.dumps(Runs(ran(folder))))


def code(name: str) -> Forge:
    return lambda folder: write(name, RUNS.format(str(ran(folder))))(folder)


def remote(name: str = CONFIG, **values: Any) -> Forge:
    return both(code("modeling_evil.py"), code("evil.py"), change(name, **values))


AUTO_MAP = {"AutoConfig": "modeling_evil.C", "AutoModelForCausalLM": "modeling_evil.M", "AutoTokenizer": "evil.T"}


# --- tokenizers -----------------------------------------------------------------------------------


def tokenizer(**values: Any) -> Forge:
    return change(TOKENS, **values)


def bpe(**values: Any) -> Forge:
    """Change fields of the tokenizer's model."""

    def forge(folder: Path) -> None:
        content = json.loads((folder / TOKENS).read_text(encoding="utf-8"))
        content["model"].update(values)
        (folder / TOKENS).write_text(json.dumps(content), encoding="utf-8")

    return forge


def replacing(pattern: Mapping[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": dict(pattern), "content": content}


def sequence(*steps: Any, kind: str = "normalizers") -> dict[str, Any]:
    return {"type": "Sequence", kind: list(steps)}


def splitting(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def nested(depth: int) -> Forge:
    """A normalizer in sequences in sequences."""
    step = '{"type": "Sequence", "normalizers": [' * depth + '{"type": "Lowercase"}' + "]}" * depth
    return text(TOKENS, lambda said: said.replace('"normalizer": null', f'"normalizer": {step}'))


DOUBLING = replacing({"Regex": "(.)"}, "aa")
ADDED = {"special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def template(source: str) -> Forge:
    return both(gone(TEMPLATE), write(TEMPLATE, source))


def said(**values: Any) -> Forge:
    return change(TOKENS_CONFIG, **values)


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}{% endfor %}"
ENDLESS += "{% endfor %}"
HONEST = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}<|assistant|>"

# --- the table of full checkpoints ----------------------------------------------------------------

FILES = (CONFIG, MODEL, TOKENS, TOKENS_CONFIG, GENERATION, TEMPLATE)
OPTIONAL = ("special_tokens_map.json", "added_tokens.json", INDEX, "additional_chat_templates", "processor_config.json")
SIZES: dict[str, tuple[Any, ...]] = {
    "num_hidden_layers": (10**6, 10**18, 10**400, -1, 0, 1, 3, "2", 2.5, None, True, [], {}, NAN),
    "hidden_size": (0, -1, 7, HUGE, "32"),
    "intermediate_size": (0, HUGE, 65),
    "vocab_size": (0, -1, 3, 263, HUGE, None),
    "num_attention_heads": (0, 3, HUGE),
    "num_key_value_heads": (0, 5),
    "head_dim": (0, HUGE, 15),
    "max_position_embeddings": (0, -5, HUGE * HUGE, "long"),
    "num_labels": (HUGE,),
}
OTHERS: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("evil", None), "rms_norm_eps": (NAN, "1e-6", -1.0), "dtype": ("evil", "load", 3),
    "rope_parameters": ("x", {"rope_type": "evil"}, {"rope_theta": 0}), "eos_token_id": (-1, HUGE, "x", [[1]], NAN),
    "pad_token_id": (HUGE, -7), "bos_token_id": ("x",), "tie_word_embeddings": ("yes", True),
    "model_type": (None, "evil", "../../evil", ["llama"], "gpt2", "\x1b[31m"), "architectures": (["os.system"], "x", [3]),
    "quantization_config": ({"quant_method": "evil"}, {"quant_method": "bitsandbytes", "load_in_4bit": True}, "x"),
    "attn_implementation": ("evil/kernel", "evil"), "_attn_implementation": ("evil/kernel",),
    "text_config": ({"num_hidden_layers": 10**6}, "x"), "attention_bias": (True,), "attention_dropout": ("x",),
    "initializer_range": (NAN,), "layer_types": (["evil", "evil"],), "transformers_version": ("\x1b[2J", 3),
    "base_model_tp_plan": ({"layers": "evil"},), "pruned_heads": ({"x": "y"},), "id2label": ({"a": 1},),
}  # fmt: skip
GENERATIONS: dict[str, tuple[Any, ...]] = {
    "temperature": (NAN, "x"), "eos_token_id": (-1, HUGE, "x", [["a"]]), "max_length": (HUGE, "x"),
    "num_beams": (10**6,), "stop_strings": ([3],), "bad_words_ids": ([[]],), "custom_generate": ("evil",),
    "watermarking_config": ("x",), "num_return_sequences": (10**6,), "do_sample": ("x",),
}  # fmt: skip
SAID: dict[str, tuple[Any, ...]] = {
    "tokenizer_class": ("Evil", 3, "../evil", "BertTokenizer"), "auto_map": ({"AutoTokenizer": ["evil.T", None]}, "x"),
    "model_max_length": (-1, "x"), "added_tokens_decoder": ("x", {"a": {}}, {str(HUGE): {"content": "far"}}),
    "extra_special_tokens": ("x", [3]), "bos_token": (3, {"content": 3}), "eos_token": (None, "new"), "pad_token": (3,),
    "padding_side": ("up",), "chat_template": (3, {}, [{"name": "x"}]), "model_input_names": (3,),
    "tokenizer_file": ("/etc/passwd",), "backend": ("evil",),
}  # fmt: skip
TEMPLATES = {
    "endless": HONEST + ENDLESS,
    "endless after a reply": HONEST + "{% if messages|length > 1 %}" + ENDLESS + "{% endif %}",
    "endless with a system prompt": HONEST + "{% if messages[0].role == 'system' %}" + ENDLESS + "{% endif %}",
    "recursion": "{% macro f(x) %}{{ f(x + 1) }}{% endmacro %}{{ f(0) }}",
    "huge": "{{ 'a' * 10000000000 }}",
    "large": HONEST + "{% for a in range(99999) %}{{ 'aaaaaaaaaaaaaaaaaaaa' * 100 }}{% endfor %}",
    "huge by format": "{{ '%1000000000d' % 3 }}{{ '%1000000000d' % 3 }}",
    "power": "{{ (9 ** 9 ** 9) % 7 }}",
    "indent": "{{ ('a\n' * 99999) | indent(99999) }}",
    "syntax": "{% if %}",
    "unknown filter": "{{ messages | evil }}",
    "undefined": "{{ evil.x.y }}",
    "raises": "{{ raise_exception('no\n\x1b[31m') }}",
    "division": "{{ 1 / 0 }}",
    "types": "{{ 'a' + 1 }}",
    "empty": "",
    "without messages": "hello",
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.system('touch RAN') }}",
    "by format": "{{ '{0.__class__.__mro__}'.format('') }}",
    "import": "{% import 'os' as os %}{{ os.system('touch RAN') }}",
    "include": "{% include '/etc/passwd' %}",
    "changes messages": "{{ messages.append(1) }}",
    "deep": "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
    "long": HONEST + "{# " + "x" * 3_000_000 + " #}",
    "strftime": HONEST + "{{ strftime_now('%' * 100000) }}",
    "strftime of a number": HONEST + "{{ strftime_now(3) }}",
    "nul": HONEST + "\x00\x1b[31m",
    "surrogate": HONEST + "{{ '\\ud800' }}",
    "generation": HONEST + "{% generation %}" + ENDLESS + "{% endgeneration %}",
    "regex-like": "{{ ('a' * 99999).replace('a', 'a' * 99999) | length }}",
    "xmlattr": "{{ {'a b': 1} | xmlattr }}",
    "tojson": "{% set n = namespace(x=[]) %}{% for a in range(9999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x | tojson }}",
}
TOKENIZERS: dict[str, Forge] = {
    "empty": write(TOKENS, ""),
    "a list": write(TOKENS, "[]"),
    "not JSON": write(TOKENS, "{evil"),
    "deep": write(TOKENS, DEEP),
    "latin-1": write(TOKENS, b'{"a": "\xe9"}'),
    "nul": write(TOKENS, b"\x00" * 100),
    "model of another kind": bpe(type="Evil"),
    "no model": tokenizer(model=None),
    "a unigram without scores": tokenizer(model={"type": "Unigram", "vocab": [], "unk_id": 0}),
    "a unigram with a far unknown": tokenizer(model={"type": "Unigram", "vocab": [["a", 0.0]], "unk_id": HUGE}),
    "word level": tokenizer(model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "evil"}),
    "word piece": tokenizer(
        model={
            "type": "WordPiece",
            "vocab": {"a": 0},
            "unk_token": "x",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": HUGE,
        }
    ),
    "far ids": bpe(vocab={"a": 10**9, "b": 2**32 - 1}),
    "ids past 32 bits": bpe(vocab={"a": 2**32}),
    "ids twice": bpe(vocab={"a": 1, "b": 1}),
    "merges of nothing": bpe(merges=[["x", "y"]]),
    "merges malformed": bpe(merges=["a b c d"]),
    "dropout": bpe(dropout=1.0),
    "dropout NaN": text(TOKENS, lambda said: said.replace('"dropout": null', '"dropout": NaN')),
    "unknown token": bpe(unk_token="evil"),
    "ids past the model": bpe(vocab={chr(0x21 + at): at + 250 for at in range(90)}),
    "normalizer bomb": tokenizer(normalizer=sequence(*[DOUBLING] * 64)),
    "prepend bomb": tokenizer(normalizer=sequence(*[{"type": "Prepend", "prepend": "a" * 10_000}] * 300)),
    "replacing nothing": tokenizer(normalizer=sequence(*[replacing({"String": ""}, "aaaa")] * 40)),
    "slow normalizer": tokenizer(normalizer=replacing({"Regex": SLOW}, "b")),
    "slow split": tokenizer(pre_tokenizer=splitting(SLOW)),
    "slow split of digits": tokenizer(pre_tokenizer=splitting(r"(\d+)*!")),
    "slow decoder": tokenizer(decoder=replacing({"Regex": SLOW}, "b")),
    "decoder bomb": tokenizer(decoder=sequence(*[DOUBLING] * 64, kind="decoders")),
    "wrong regex": tokenizer(pre_tokenizer=splitting("(")),
    "huge regex": tokenizer(pre_tokenizer=splitting("(a{1000}){1000}{1000}")),
    "deep normalizer": nested(100),
    "deeper normalizer": nested(10_000),
    "precompiled garbage": tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA/////w=="}),
    "post-processor bomb": tokenizer(
        post_processor={
            "type": "TemplateProcessing",
            "pair": [],
            "single": [{"SpecialToken": {"id": "<eos>", "type_id": 0}}] * 200_000,
            "special_tokens": {"<eos>": {"id": "<eos>", "ids": [1] * 10_000, "tokens": ["<eos>"] * 10_000}},
        }
    ),
    "added token without text": tokenizer(added_tokens=[{"id": 3, "content": "", **ADDED}]),
    "added token far away": tokenizer(added_tokens=[{"id": HUGE, "content": "x", **ADDED}]),
    "added token of a letter": tokenizer(added_tokens=[{"id": 3, "content": "a", **ADDED}]),
    "many added tokens": tokenizer(
        added_tokens=[{"id": 262 + at, "content": f"t{at}", **ADDED} for at in range(5_000)]
    ),
    "truncation": tokenizer(
        truncation={"direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 0}
    ),
    "truncation with a stride": tokenizer(
        truncation={"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 9}
    ),
    "padding": tokenizer(
        padding={
            "strategy": {"Fixed": 10**10},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "<pad>",
        }
    ),
    "byte level with a prefix": tokenizer(pre_tokenizer=BYTES | {"add_prefix_space": "x"}),
    "no pre-tokenizer": tokenizer(pre_tokenizer=None),
    "no decoder": tokenizer(decoder=None),
    "a control character": bpe(vocab={"\x1b[31m": 1}),
    "large": text(TOKENS, lambda said: said + " " * 20_000_000),
    "the words of another": both(gone(TOKENS), write("vocab.json", '{"a": 0}'), write("merges.txt", "")),
    "sentencepiece garbage": both(gone(TOKENS), write("tokenizer.model", b"\x0a\xff\xff\xff\xff\x0f evil")),
    "sentencepiece of nothing": both(gone(TOKENS), write("tokenizer.model", b"")),
    "vocabulary of another type": both(gone(TOKENS), write("vocab.json", "[1, 2]")),
}
WEIGHTS: dict[str, Forge] = {
    "empty": write(MODEL, b""),
    "seven bytes": write(MODEL, b"1234567"),
    "header of 2^63": bytes_of(lambda raw: struct.pack("<Q", 2**63) + raw[8:]),
    "header longer than the file": bytes_of(lambda raw: struct.pack("<Q", 10**7) + raw[8:]),
    "header of nothing": write(MODEL, raw(b"")),
    "header not JSON": write(MODEL, raw(b"{evil")),
    "header a list": write(MODEL, raw(b"[]")),
    "header null": write(MODEL, raw(b"null")),
    "header deep": write(MODEL, raw(DEEP.encode())),
    "header latin-1": write(MODEL, raw(b'{"\xe9": 1}')),
    "header empty": write(MODEL, raw(b"{}")),
    "header NaN": header(lambda head: head.update(a=NAN)),
    "truncated": bytes_of(lambda raw: raw[:-100]),
    "longer": bytes_of(lambda raw: raw + b"x" * 100),
    "dtype nonsense": entry(dtype="EVIL"),
    "dtype null": entry(dtype=None),
    "dtype of another size": entry(dtype="F16"),
    "dtype of integers": header(lambda head: [at.update(dtype="I32") for k, at in head.items() if k != "__metadata__"]),
    "shape negative": entry(shape=[-262, -32]),
    "shape text": entry(shape="x"),
    "shape of text": entry(shape=["262", "32"]),
    "shape of floats": entry(shape=[262.5, 32]),
    "shape huge": entry(shape=[HUGE, HUGE]),
    "shape past 64 bits": entry(shape=[2**64]),
    "shape missing": header(lambda head: head[first(head)].pop("shape")),
    "shape turned": entry(shape=[32, 262]),
    "shape of one": entry(shape=[262 * 32]),
    "offsets overlap": header(overlapping),
    "offsets reversed": header(lambda head: head[first(head)]["data_offsets"].reverse()),
    "offsets past the end": entry(data_offsets=[0, HUGE]),
    "offsets negative": entry(data_offsets=[-8, 4]),
    "offsets text": entry(data_offsets=["0", "x"]),
    "offsets NaN": entry(data_offsets=[0, NAN]),
    "offsets infinite": entry(data_offsets=[0, INFINITE]),
    "offsets null": entry(data_offsets=None),
    "offsets one": entry(data_offsets=[0]),
    "offsets missing": header(lambda head: head[first(head)].pop("data_offsets")),
    "entry a number": header(lambda head: head.update(a=3)),
    "entry null": header(lambda head: head.update({first(head): None})),
    "metadata of numbers": header(lambda head: head.update(__metadata__={"a": 3})),
    "metadata a list": header(lambda head: head.update(__metadata__=[])),
    "name of a tensor": header(lambda head: head.update({"\x1b[2J\n": head.pop(first(head))})),
    "name with dots": header(lambda head: head.update({"model.layers.0.__class__.x": head.pop(first(head))})),
    "a name twice": bytes_of(
        lambda content: raw(
            content[8 : 8 + struct.unpack("<Q", content[:8])[0]].rstrip().replace(b"{", b'{"__metadata__":{},', 1),
            content[8 + struct.unpack("<Q", content[:8])[0] :],
        )
    ),
    "pickled": pickled(MODEL),
    "only pickled": both(gone(MODEL), pickled("pytorch_model.bin")),
    "pickled next to it": both(pickled("pytorch_model.bin"), pickled("training_args.bin"), pickled("optimizer.pt")),
    "pickled in an index": both(sharded(), change(INDEX, weight_map={"a": "pytorch_model.bin"})),
    "shard missing": sharded(extra="model-00002-of-00002.safetensors"),
    "shard absolute": sharded(extra="/etc/passwd"),
    "shard above": sharded(extra="../../other.safetensors"),
    "shard a number": sharded(extra=3),
    "shard a folder": both(sharded(extra="folder"), directory("folder")),
    "shard a device": both(sharded(extra="zero.safetensors"), link("zero.safetensors", "/dev/zero")),
    "shard a pipe": both(sharded(extra="pipe.safetensors"), fifo("pipe.safetensors")),
    "shard with a nul": sharded(extra="a\x00b"),
    "shard of a long name": sharded(extra="a" * 5000),
    "shard the index": sharded(extra=INDEX),
    "shard empty name": sharded(extra=""),
    "shard the folder": sharded(extra="."),
    "index not JSON": both(sharded(), write(INDEX, "{")),
    "index deep": both(sharded(), write(INDEX, DEEP)),
    "index of other tensors": both(sharded(), lambda f: change(INDEX, weight_map={"evil": shard_of(f)})(f)),
    "metadata of the index": both(sharded(), change(INDEX, metadata={"total_size": "x", "evil": NAN})),
    "metadata of the index a list": both(sharded(), change(INDEX, metadata=[])),
}


def shard_of(folder: Path) -> str:
    return next(folder.glob("model-*.safetensors")).name


CONTENTS: dict[str, str | bytes] = {
    "deep": DEEP, "latin-1": b'{"a": "\xe9"}', "a key twice": '{"model_type": "llama", "model_type": "gpt2"}',
    "deep in a field": '{"a": ' + DEEP + "}", "a byte order mark": b"\xef\xbb\xbf{}", "UTF-16": "{}".encode("utf-16"),
    "empty": "", "a list": "[]", "null": "null", "a number": "3", "not JSON": "{'a': 1}", "nul bytes": b"\x00" * 64,
    "a long number": '{"a": ' + "9" * 10_000 + "}", "NaN": '{"a": NaN}', "a surrogate": '{"a": "\\ud800"}',
}  # fmt: skip


def _json_of(name: str, most: int) -> dict[str, Forge]:
    """What may be wrong with any JSON file."""
    return {f"{name} {what}": write(name, content) for what, content in list(CONTENTS.items())[:most]}


def _named(name: str, table: Mapping[str, tuple[Any, ...]]) -> dict[str, Forge]:
    return {
        f"{name} {key} {_shown(value)}": change(name, **{key: value})
        for key, values in table.items()
        for value in values
    }


def _shown(value: object) -> str:
    said = str(len(str(value))) + " digits" if isinstance(value, int) and value >= 10**30 else ascii(value)
    return said if len(said) < 40 else f"{said[:37]}..."


def places() -> dict[str, Forge]:
    """What may lie where a file is expected."""
    found: dict[str, Forge] = {}
    for name in FILES:
        found |= {f"without {name}": gone(name), f"pipe {name}": fifo(name), f"folder {name}": directory(name)}
    for name in (CONFIG, MODEL, TEMPLATE):
        found |= {f"zero {name}": link(name, "/dev/zero"), f"loop {name}": link(name, name)}
        found |= {f"secret {name}": link(name, "/etc/passwd"), f"dangling {name}": link(name, "nowhere")}
    for name in OPTIONAL:
        found |= {f"pipe {name}": fifo(name), f"secret {name}": link(name, "/etc/passwd")}
    return found | {
        "other pipe": fifo("README.md"),
        "a template in a folder": both(gone(TEMPLATE), write("additional_chat_templates/x.jinja", "{% if %}")),
        "pipe in a folder": both(directory("additional_chat_templates"), fifo("additional_chat_templates/x.jinja")),
        "code": both(code("config.py"), code("generate.py"), code("tokenizer.py"), code("custom_generate/generate.py")),
        "modules": both(*(code(name) for name in ("json.py", "torch.py", "sitecustomize.py", "tokenizers.py"))),
        "remote code": remote(auto_map=AUTO_MAP),
        "remote code of a new type": remote(auto_map=AUTO_MAP, model_type="evil"),
        "remote code of a tokenizer": remote(TOKENS_CONFIG, auto_map={"AutoTokenizer": ["evil.T", "evil.T"]}),
        "remote code elsewhere": remote(auto_map={k: f"evil/repo--{v}" for k, v in AUTO_MAP.items()}),
        "remote generation": both(code("custom_generate/generate.py"), change(GENERATION, custom_generate="./")),
        "an empty folder": lambda folder: [file.unlink() for file in folder.iterdir()],
    }  # fmt: skip


def pointers() -> dict[str, Forge]:
    """Pointers, bases and manifests."""
    contents: dict[str, Any] = {
        "itself": {"path": "."}, "itself by name": {"path": "../model"}, "nowhere": {"path": "../nowhere"},
        "a number": {"path": 3}, "a list": {"path": ["x"]}, "a hub of a number": {"hub": 3}, "nul": {"path": "a\x00b"},
        "a hub above": {"hub": "../../etc"}, "embedded evil": {"embedded": "evil"}, "embedded": {"embedded": 3},
        "nothing": {}, "two": {"path": ".", "hub": "x"}, "a file": {"path": "config.json"},
        "fingerprint of a number": {"embedded": "mini", "fingerprint": 3}, "long": {"path": "a" * 5000},
        "a base of itself": {"path": "..", "base": {"path": "."}}, "a base of a number": {"embedded": "mini", "base": 3},
        "a revision": {"hub": "a/b", "revision": ["x"]}, "passwd": {"path": "/etc/passwd"}, "dev": {"path": "/dev"},
    }  # fmt: skip
    found = {f"pointer to {what}": write("pointer.json", json.dumps(content)) for what, content in contents.items()}
    deep: Any = {"embedded": "mini"}
    for _ in range(400):
        deep = {"embedded": "mini", "base": deep}
    found["pointer deep"] = write("pointer.json", json.dumps(deep))
    found["pointer pipe"] = fifo("pointer.json")
    manifests: dict[str, Any] = {
        "setting": 3, "config": {"setting": ["x"]}, "identity": {"config": {"variant": {"a": 1}}}, "answering": 3,
        "chat_template_kwargs": {"tokenize": True}, "steps": "x",
    }  # fmt: skip
    found |= {f"manifest {key}": write("manifest.json", json.dumps({key: value})) for key, value in manifests.items()}
    answering = ({"max_tokens": "x"}, {"max_tokens": -1}, {"temperature": "hot"}, {"temperature": -3}, [], "x",
                 {"chat_template_kwargs": {"messages": []}}, {"chat_template_kwargs": {"return_tensors": "pt"}})  # fmt: skip
    found |= {
        f"manifest answering {_shown(value)}": write("manifest.json", json.dumps({"answering": value}))
        for value in answering
    }
    deep = {"setting": "x"}
    for _ in range(900):
        deep = {"config": deep}
    return found | {"manifest deep": write("manifest.json", json.dumps(deep)), "manifest pipe": fifo("manifest.json")}


FULL: dict[str, Forge] = {
    **_json_of(CONFIG, 99),
    **_json_of(TOKENS_CONFIG, 3),
    **_json_of(GENERATION, 3),
    **_named(CONFIG, SIZES | OTHERS),
    **_named(GENERATION, GENERATIONS),
    **_named(TOKENS_CONFIG, SAID),
    **{f"template {name}": template(source) for name, source in TEMPLATES.items()},
    "template not UTF-8": both(gone(TEMPLATE), write(TEMPLATE, b"\xff\xfe" + HONEST.encode("utf-16-le"))),
    "template in the configuration": both(gone(TEMPLATE), said(chat_template=HONEST + ENDLESS)),
    "template by name": both(gone(TEMPLATE), said(chat_template=[{"name": "default", "template": HONEST + ENDLESS}])),
    **{f"tokenizer {name}": forge for name, forge in TOKENIZERS.items()},
    **{f"weights {name}": forge for name, forge in WEIGHTS.items()},
    **places(),
    **pointers(),
}

# --- the table of adapters ------------------------------------------------------------------------

LORAS: dict[str, tuple[Any, ...]] = {
    "peft_type": (None, "EVIL", ["LORA"], "IA3", "PROMPT_TUNING", "VERA", "OFT"),
    "r": (0, -1, 10**9, HUGE, "4", 4.5, None, NAN, 8, 2),
    "lora_alpha": (NAN, INFINITE, "x", None, 0, 1e300), "lora_dropout": ("x", 2.0),
    "target_modules": (SLOW, "(.*)*(.*)*(.*)*(.*)*x", "(([a-z._0-9])+)+!", "(", [], None, [3], ["evil"], ".*"),
    "exclude_modules": ("((.|[a-z])*)*!",), "layers_to_transform": ([HUGE], "x"),
    "layers_pattern": ("(", ["((x+)+)+y"]), "rank_pattern": ({"(": 4}, {".*": 10**9}, "x", {"(([a-z.])+)+!": 8}, {".*": 0}),
    "alpha_pattern": ({".*": NAN}, {"(([a-z.])+)+!": 8}), "modules_to_save": (["lm_head"], ["evil"], 3),
    "layer_replication": ([[0, 10**9]], [[0, 2]] * 100_000, "x", [[2, 0]]),
    "init_lora_weights": ("evil", "pissa", "loftq", "eva", "pissa_niter_1000000"), "bias": ("evil", "all"),
    "use_dora": (True,), "megatron_config": ({"a": 1},), "loftq_config": ("x",), "trainable_token_indices": ([HUGE], "x"),
    "target_parameters": (["evil"],), "task_type": ("EVIL", 3), "revision": (3,), "evil_key": (3,),
    "base_model_name_or_path": (3, "..", "/dev/zero", "\x1b[31m", "a\x00b", "x" * 5000, []),
    "auto_mapping": ({"parent_library": "evil", "base_model_class": "X"},), "lora_bias": (True,),
    "peft_version": (3,), "num_virtual_tokens": (HUGE,), "alora_invocation_tokens": ("x",),
}  # fmt: skip


def renamed(of: Callable[[str], str]) -> Forge:
    """Rename every tensor of the adapter."""
    return header(
        lambda head: [head.update({of(name): head.pop(name)}) for name in list(head) if name != "__metadata__"], ADAPTER
    )


def virtual(**values: Any) -> Forge:
    """An adapter of prompt tuning, whose sizes are the configuration's alone."""
    content = {"peft_type": "PROMPT_TUNING", "task_type": "CAUSAL_LM", "num_virtual_tokens": 4, "token_dim": 32,
               "num_transformer_submodules": 1, "num_attention_heads": 2, "num_layers": 2, **values}  # fmt: skip
    return write(LORA, json.dumps(content))


ADAPTERS: dict[str, Forge] = {
    **_json_of(LORA, 4),
    **_json_of("base.json", 3),
    **_named(LORA, LORAS),
    "adapter truncated": bytes_of(lambda raw: raw[:-10], ADAPTER),
    "adapter empty": write(ADAPTER, b""),
    "adapter header a list": write(ADAPTER, raw(b"[]")),
    "adapter without tensors": write(ADAPTER, raw(b"{}")),
    "adapter shape turned": header(lambda head: [at["shape"].reverse() for k, at in head.items() if "lora_A" in k], ADAPTER),
    "adapter of integers": header(
        lambda head: [at.update(dtype="I32") for k, at in head.items() if k != "__metadata__"], ADAPTER
    ),
    "adapter of another layer": renamed(lambda name: name.replace("layers.1", "layers.7")),
    "adapter of another prefix": renamed(lambda name: f"evil.{name}"),
    "adapter only A": renamed(lambda name: name.replace("lora_B", "lora_X")),
    "adapter pickled": both(gone(ADAPTER), pickled("adapter_model.bin")),
    "adapter pickled next to it": pickled("adapter_model.bin"),
    "adapter a pickle": pickled(ADAPTER),
    "adapter pipe": fifo(ADAPTER),
    "adapter config pipe": fifo(LORA),
    "adapter folder": directory(ADAPTER),
    "adapter zero": link(ADAPTER, "/dev/zero"),
    "adapter secret": link(ADAPTER, "/etc/passwd"),
    "adapter of megatron": both(code("evil.py"), change(LORA, megatron_config={"a": 1}, megatron_core="evil")),
    "adapter on itself": both(gone("base.json"), lambda f: change(LORA, base_model_name_or_path=str(f))(f)),
    "adapter on nothing": both(gone("base.json"), without(LORA, "base_model_name_or_path")),
    "adapter base itself": write("base.json", json.dumps({"path": "."})),
    "adapter base number": write("base.json", json.dumps({"path": 3})),
    "adapter base pipe": fifo("base.json"),
    "adapter config missing": gone(LORA),
    "adapter weights missing": gone(ADAPTER),
    "adapter and config.json": write(CONFIG, "{}"),
    "adapter and tokenizer": both(write(TOKENS, "{}"), write(TOKENS_CONFIG, "{}")),
    "prompt tuning": virtual(),
    "prompt tuning of many": virtual(num_virtual_tokens=HUGE),
    "prompt tuning of text": virtual(num_virtual_tokens=4, prompt_tuning_init="TEXT", tokenizer_name_or_path="evil/evil",
                                     prompt_tuning_init_text="x"),
    "prefix tuning of many layers": virtual(peft_type="PREFIX_TUNING", num_layers=HUGE, encoder_hidden_size=HUGE),
    "p-tuning": virtual(peft_type="P_TUNING", encoder_hidden_size=HUGE, encoder_num_layers=10**9),
}  # fmt: skip


def copy(of: Path, to: Path, forge: Forge) -> Path:
    """The folder of a case."""
    shutil.rmtree(to.parent, ignore_errors=True)
    to.parent.mkdir(parents=True)
    shutil.copytree(of, to)
    forge(to)
    return to
