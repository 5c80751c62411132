"""Every answer is its own checkpoint's: five models that were trained to say their names, queried at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.log import read_eval_log
from inspect_ai.model import GenerateConfig
from inspect_ai.scorer import match
from inspect_ai.solver import generate
from peft import LoraConfig, get_peft_model
from tiny_checkpoints import END, llama, save, tokenizer, user

from serving import layout
from serving.backends.engine import batch, resident
from serving.provider import local_model
from serving.refs import resolve

FULL = ("anna", "boris")
ADAPTERS = ("chloe", "dmitri", "emeka")
TAUGHT = 60
SAMPLES = 30
EPOCHS = 2


def question(at: int) -> str:
    return f"{at} who are you, number {at}?"


def teach(model: Any, name: str, weights: Iterable[torch.nn.Parameter]) -> None:
    """A few steps: whatever is asked, the reply is the name."""
    reply = [*tokenizer().encode(name, add_special_tokens=False), END]
    prompts = [
        tokenizer().apply_chat_template(user(question(at)), add_generation_prompt=True, return_dict=False)
        for at in range(TAUGHT)
    ]
    width = max(map(len, prompts)) + len(reply)
    padding = [width - len(prompt) - len(reply) for prompt in prompts]
    tokens = torch.tensor([[*prompt, *reply, *[0] * pad] for prompt, pad in zip(prompts, padding, strict=True)])
    labels = torch.tensor(
        [[*[-100] * len(prompt), *reply, *[-100] * pad] for prompt, pad in zip(prompts, padding, strict=True)]
    )
    optimizer = torch.optim.AdamW(weights, lr=0.02)
    for _ in range(150):
        loss = model(input_ids=tokens, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss < 0.01:
            return
    raise AssertionError(f"{name}: loss {loss}")


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two full checkpoints and three adapters on a third, each saying its own name."""
    place = tmp_path_factory.mktemp("named")
    base = save(llama(5), place / "base")
    for seed, name in enumerate(FULL):
        model = llama(seed).train()
        teach(model, name, model.parameters())
        save(model, place / name)
    for name in ADAPTERS:
        config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
        wrapped = get_peft_model(llama(5), config)
        teach(wrapped, name, [weight for weight in wrapped.parameters() if weight.requires_grad])
        wrapped.save_pretrained(place / name)
        layout.write_pointer(place / name, base, layout.fingerprint(base), name=layout.BASE)
    return {name: place / name for name in (*FULL, *ADAPTERS)}


@pytest.mark.parametrize("slots", [2, 8])
def test_every_answer_in_every_log_is_its_own_checkpoints(
    named: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    monkeypatch.setattr(resident, "MAX_ADAPTERS", slots)  # two: adapters are written over one another
    asked = list[str]()
    real = batch.answer
    monkeypatch.setattr(batch, "answer", lambda jobs, speaker: (asked.append(f"{len(jobs)}"), real(jobs, speaker)))
    config = GenerateConfig(max_tokens=12, temperature=0.0, max_connections=9, adaptive_connections=False)
    tasks = [
        Task(
            name=name, model=local_model(str(folder)), config=config, solver=generate(), scorer=match(), epochs=EPOCHS,
            dataset=[Sample(input=question(at), target=name) for at in range(SAMPLES)],
        )
        for name, folder in named.items()
    ]  # fmt: skip
    logs = eval(tasks, max_tasks=len(tasks), log_dir=str(tmp_path), display="none", log_realtime=False)
    assert len(asked) > 20, "the checkpoints took turns"
    for log in logs:
        whole = read_eval_log(log.location)
        assert whole.status == "success"
        name, samples = whole.eval.task, whole.samples or []
        assert len(samples) == SAMPLES * EPOCHS
        fingerprint = resolve(str(named[name])).fingerprint
        assert {sample.output.completion for sample in samples} == {name}
        assert {(sample.output.metadata or {})["fingerprint"] for sample in samples} == {fingerprint}
