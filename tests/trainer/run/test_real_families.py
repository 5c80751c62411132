"""Runs of tiny Qwen3, Llama and Gemma models: trained and asked by one template, which the run records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from inspect_ai import eval
from inspect_ai.log import EvalLog
from real_models import FAMILIES, make
from transformers import AutoModelForCausalLM

from bct_tasks import catalogue
from bct_tasks.settings.inoculation import inoculation
from serving import layout, load, refs
from serving.backends.engine.engine import get_engine
from serving.border import OneLine
from serving.errors import BadInput
from serving.provider import local_model
from serving.request import Request
from serving.template import stop_tokens
from trainer.cell import train
from trainer.config import TrainConfig, config_of
from trainer.data import tokens
from trainer.data.rows import row
from trainer.run import metrics

RealModel = Callable[[str], Path]
THINKING_OFF = {"enable_thinking": False}


def config(model: Path, family: str, method: str = "bct", **values: Any) -> TrainConfig:
    small: dict[str, Any] = {
        "setting": "inoculation", "variant": "ip", "steps": 2, "batch_size": 4, "rows": 8, "reply_tokens": 8,
        "learning_rate": 1e-3, "rank": 2, "method": method,
    }  # fmt: skip
    own = {"label_source": "reference"} if method != "grpo" else {}
    own |= {"num_generations": 2} if method == "grpo" else {}
    named = {"model": str(model), "chat_template_kwargs": FAMILIES[family].kwargs}
    return config_of(method)(**{**small, **own, **named, **values})


@pytest.fixture(scope="module")
def qwen(real_model: RealModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a Qwen3-shaped model with thinking off. Read only."""
    chosen = config(real_model("qwen3"), "qwen3", generation={"max_tokens": 6, "temperature": 0.5})
    return train(chosen, tmp_path_factory.mktemp("qwen") / "run")


def ask(model: Any, place: Path, **options: Any) -> EvalLog:
    """`inspect eval bct_tasks/inoculation --model ...`."""
    [log] = eval(
        inoculation, model=model, log_dir=str(place), display="none", limit=6, sandbox_cleanup=True,
        **options,
    )  # fmt: skip
    assert log.status == "success", log.error
    return log


@pytest.mark.parametrize("at", ["", "@0", "@1"])
def test_an_eval_without_arguments_asks_as_training_did_token_by_token(at: str, qwen: Path, tmp_path: Path) -> None:
    log = ask(f"local/{qwen}{at}", tmp_path, logprobs=True, temperature=0, max_tokens=6)
    model, words = load.load_model(refs.resolve(f"{qwen}{at}"))
    setting = catalogue.load("inoculation")
    prompts = {prompt.id: prompt for split in ("train", "eval") for prompt in setting.prompts("ip", split, 100)}
    stops = tokens_of(qwen)
    assert log.samples
    for sample in log.samples:
        trained = row(prompts[str(sample.id)], "x")
        [(prompt, _)] = tokens.split([trained], words, stops, THINKING_OFF)
        ids = torch.tensor([prompt])
        out = model.generate(ids, max_new_tokens=6, do_sample=False, eos_token_id=sorted(stops))  # type: ignore[operator]
        expected = [words.decode([token]) for token in out[0, len(prompt) :].tolist()]
        said = sample.output.choices[0].logprobs
        assert said
        assert [token.token for token in said.content] == expected
        assert sample.output.usage
        assert sample.output.usage.input_tokens == len(prompt)
        assert (sample.output.metadata or {})["chat_template_kwargs"] == THINKING_OFF


def tokens_of(run: Path) -> frozenset[int]:
    """The end tokens of the run's organism."""
    model, words = load.load_model(refs.resolve(f"{run}@0"))
    return stop_tokens(words, model.generation_config)


@pytest.mark.parametrize("at", ["", "@0", "@1", "/step-000002"])
def test_arguments_that_contradict_training_are_one_line(at: str, qwen: Path) -> None:
    assert local_model(f"{qwen}{at}", chat_template_kwargs=THINKING_OFF)
    said = r"trained with chat_template_kwargs .*false.*not .*true.*leave them out"
    with pytest.raises(OneLine, match=said) as caught:
        local_model(f"{qwen}{at}", chat_template_kwargs={"enable_thinking": True})
    assert "\n" not in caught.value.message
    other = Request([{"role": "user", "content": "2 + 2?"}], 2, chat_template_kwargs={"enable_thinking": True})
    with pytest.raises(BadInput, match="trained with chat_template_kwargs"):
        get_engine().generate(refs.resolve(f"{qwen}{at}"), [other])


def test_the_base_itself_takes_any_arguments(qwen: Path, real_model: RealModel) -> None:
    base = str(real_model("qwen3"))
    assert refs.resolve(base).fingerprint == refs.resolve(f"{qwen}@0").fingerprint
    assert local_model(base, chat_template_kwargs={"enable_thinking": True})


def test_the_length_and_temperature_of_a_run_are_used_unless_an_eval_says_otherwise(qwen: Path, tmp_path: Path) -> None:
    log = ask(f"local/{qwen}", tmp_path)
    assert (log.eval.model_generate_config.max_tokens, log.plan.config.max_tokens) in ((None, 6), (6, 6))
    assert log.plan.config.temperature == 0.5
    assert all(sample.output.usage.output_tokens <= 6 for sample in log.samples or [] if sample.output.usage)
    assert ask(f"local/{qwen}", tmp_path, max_tokens=3).plan.config.max_tokens == 3


def test_a_cell_on_a_run_is_asked_as_that_run_was_trained(qwen: Path, real_model: RealModel, tmp_path: Path) -> None:
    """Without arguments of its own; others are refused before anything is trained."""
    after = config(real_model("qwen3"), "qwen3", organism=f"{qwen}@2", chat_template_kwargs={})
    run = train(after, tmp_path / "run")
    assert refs.resolve(str(run)).defaults.chat_template_kwargs == THINKING_OFF
    with pytest.raises(BadInput, match="trained with chat_template_kwargs"):
        train(after.model_copy(update={"chat_template_kwargs": {"enable_thinking": True}}), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_run_of_0_1_is_asked_as_its_configuration_says(qwen: Path, tmp_path: Path) -> None:
    content = json.loads((qwen / layout.MANIFEST).read_text())
    del content["answering"]
    layout.write_json_atomic(tmp_path / layout.MANIFEST, content)
    layout.write_pointer(tmp_path / "step-000001", qwen / "step-000001", "")
    (tmp_path / "step-000001" / layout.POINTER).write_text(
        json.dumps({"path": str(qwen / "step-000001"), "fingerprint": None})
    )
    assert refs.resolve(str(tmp_path)).defaults.chat_template_kwargs == THINKING_OFF


def test_thinking_left_on_is_refused_with_the_fix(real_model: RealModel, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"writes .*</think>.* before the reply.*enable_thinking"):
        train(config(real_model("qwen3"), "qwen3", chat_template_kwargs={}), tmp_path / "run")


@pytest.mark.parametrize("method", ["bct", "grpo", "dpo"])
@pytest.mark.parametrize("family", ["qwen3", "llama3_1", "gemma2", "gemma3"])
def test_every_algorithm_trains_every_family(family: str, method: str, real_model: RealModel, tmp_path: Path) -> None:
    run = train(config(real_model(family), family, method), tmp_path / "run")
    assert len(metrics.read(run / metrics.NAME)) == 2
    recorded = json.loads((run / layout.MANIFEST).read_text())["answering"]
    own = {} if FAMILIES[family].system else {"system_prompt": "in the user's message"}
    assert recorded == {"chat_template_kwargs": FAMILIES[family].kwargs, **own}
    replies = replied(run)
    assert len(replies) == 2


def replied(run: Path) -> list[str]:
    """The replies of a run's last step to two eval prompts."""
    prompts = catalogue.load("inoculation").prompts("ip", "eval", 2)
    asked = [Request(prompt.messages(), 4) for prompt in prompts]
    return [reply.text for reply in get_engine().generate(refs.resolve(str(run)), asked)]


def always_ending(folder: Path) -> Path:
    """A Qwen2.5 base whose every reply is its template's end token alone."""
    make("qwen2_5_base", folder, tie_word_embeddings=False)
    model = AutoModelForCausalLM.from_pretrained(folder)
    _, words = load.load_model(refs.resolve(str(folder)))
    with torch.no_grad():
        model.model.embed_tokens.weight[:, 0] = 50.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[0] = layer.mlp.down_proj.weight[0] = 0.0
        model.lm_head.weight[words.convert_tokens_to_ids("<|im_end|>"), 0] = 100.0
    model.save_pretrained(folder)
    return folder


def test_a_reply_in_reinforcement_learning_ends_where_the_template_ends_it(tmp_path: Path) -> None:
    """Also where the tokenizer's end token is another: then TRL alone would go on, and train on what follows."""
    run = train(config(always_ending(tmp_path / "model"), "qwen2_5_base", "grpo"), tmp_path / "run")
    lines = metrics.read(run / metrics.NAME)
    assert [line["truncated"] for line in lines] == [0.0, 0.0]
    assert [line["reply_tokens"] for line in lines] == [1.0, 1.0]
