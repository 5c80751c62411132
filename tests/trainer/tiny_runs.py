"""A tiny Llama with its own tokenizer, and what tests look at in a run folder. Everything is real but the size."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from bct_tasks.setting import Prompt
from trainer import train
from trainer.config import OrganismConfig, TrainConfig
from trainer.run import metrics
from trainer.run.checkpoints import Keeper
from trainer.run.plan import plan_of

MakeCell = Callable[..., TrainConfig]
MakeOrganism = Callable[..., OrganismConfig]

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|stop|>"]


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes and role markers. The template writes a line break behind the end token, as Qwen's does."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate([*SPECIAL, *alphabet])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(SPECIAL)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<|pad|>", eos_token="<|end|>", chat_template=TEMPLATE
    )


def make_model(folder: Path, seed: int = 0, context: int = 512, width: int = 32) -> Path:
    """A random model of two layers, saved to a folder."""
    torch.manual_seed(seed)
    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=width, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=context, tie_word_embeddings=True, pad_token_id=0, eos_token_id=1, bos_token_id=None,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = [1, 5]
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def weights(run: Path, step: int) -> str:
    """Hash of a checkpoint's weights."""
    folder = run / f"step-{step:06d}"
    file = next(folder.glob("*model.safetensors"))
    return hashlib.sha256(file.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Time of change and size of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in files}


def lines(run: Path) -> list[dict[str, Any]]:
    """The metrics without their times."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in metrics.read(run / metrics.NAME)]


#: Starts processes in which the libraries are loaded already.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["trainer.sft", "trl.trainer.sft_trainer", "trl.trainer.dpo_trainer", "trl.trainer.grpo_trainer"]
)


def prompts_of(config: TrainConfig) -> list[Prompt]:
    """The prompts that a cell asks."""
    return plan_of(config).prompts


def environment() -> dict[str, str]:
    """The environment of a process that imports what this one imports, on one thread."""
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def kill_at(config: TrainConfig, run: Path, step: int) -> None:
    """Trains in another process, which kill -9 ends when a step's metrics are written and its checkpoint is not."""
    child = FORKS.Process(target=train_until, args=(config, run, "on_log", step))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert len(metrics.read(run / metrics.NAME)) == step


def train_until(config: TrainConfig, run: Path, moment: str, step: int) -> None:
    """Trains, and kills its own process at a moment of a step: after the line of metrics, or before a save."""
    own = getattr(Keeper, moment)

    def hook(self: Keeper, args: Any, state: Any, control: Any, **more: Any) -> None:
        if moment == "on_log":
            own(self, args, state, control, **more)
        if state.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        if moment != "on_log":
            own(self, args, state, control, **more)

    setattr(Keeper, moment, hook)
    torch.set_num_threads(1)
    train(config, run)


@contextmanager
def interrupted_at(step: int) -> Iterator[None]:
    """Training inside the block is interrupted as by Ctrl-C, after this step and before what is done at its end."""
    own = Keeper.on_step_end

    def cut(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == step:
            raise KeyboardInterrupt
        own(self, args, state, control, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Keeper, "on_step_end", cut)
        yield
