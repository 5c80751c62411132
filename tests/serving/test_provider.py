"""`--model local/<ref>` in real inspect evals."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import Task, eval, eval_set
from inspect_ai.dataset import Sample
from inspect_ai.log import EvalLog, read_eval_log
from inspect_ai.model import GenerateConfig, Model, get_model
from inspect_ai.scorer import includes
from inspect_ai.solver import generate
from inspect_ai.tool import ToolInfo
from tiny_checkpoints import PROMPTS, llama, save, user

from serving.backends.engine.engine import get_engine
from serving.border import OneLine
from serving.errors import BadInput
from serving.provider import local_model
from serving.refs import resolve
from serving.request import Request

TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes
from inspect_ai.solver import generate

@task
def ask():
    samples = [Sample(input=f"{at}?", target="x") for at in range(3)]
    return Task(dataset=samples, solver=generate(), scorer=includes())
"""


def ask(model: Any, logs: Path, **options: Any) -> EvalLog:
    samples = [Sample(input=prompt, target="x", id=at) for at, prompt in enumerate(PROMPTS)]
    config = GenerateConfig(adaptive_connections=False, **{"max_tokens": 12, "temperature": 0.0, **options})
    task = Task(dataset=samples, solver=generate(), scorer=includes(), config=config)
    [log] = eval(task, model=model, log_dir=str(logs), display="none")
    return log


def replaced(folder: Path, seed: int) -> None:
    """Other weights at the same place."""
    shutil.rmtree(folder, ignore_errors=True)
    save(llama(seed), folder)


def as_in_a_new_process(folder: Path) -> Model:
    """Without inspect's memory of the models of this process."""
    return get_model(f"local/{folder}", memoize=False)


def said(log: EvalLog) -> list[str]:
    return [sample.output.completion for sample in read_eval_log(log.location).samples or []]


def test_a_cached_reply_is_never_that_of_weights_which_are_no_longer_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INSPECT_CACHE_DIR", str(tmp_path / "cache"))
    replies = []
    for seed in (1, 2, 1):
        replaced(tmp_path / "model", seed)
        replies.append(said(ask(as_in_a_new_process(tmp_path / "model"), tmp_path / "logs", cache=True)))
    assert replies[0] == replies[2] != replies[1]


def test_an_eval_set_asks_again_when_a_folder_holds_other_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # inspect takes files of tasks relative to the working folder only
    file = tmp_path / "own.py"
    lines = ("from inspect_ai import task", "from bct_tasks.settings.sandbagging import sandbagging", "")
    file.write_text("\n".join((*lines, "@task", "def own():", "    return sandbagging(split='eval', n=2)", "")))
    logs = []
    for seed in (1, 1, 2):
        replaced(tmp_path / "model", seed)
        complete, [log] = eval_set(
            file.name,
            model=as_in_a_new_process(tmp_path / "model"),
            log_dir=str(tmp_path / "logs"),
            log_dir_allow_dirty=True,
            display="none",
        )
        assert complete
        logs.append(Path(log.location).name)
    assert logs[0] == logs[1] != logs[2]


def test_an_eval_logs_the_engines_replies_usage_and_fingerprint(made: Path, tmp_path: Path) -> None:
    ref = f"{made / 'run'}@4"
    log = read_eval_log(ask(local_model(ref), tmp_path).location)
    checkpoint = resolve(ref)
    replies = get_engine().generate(checkpoint, [Request(user(prompt), 12) for prompt in PROMPTS])
    assert log.status == "success"
    assert log.samples
    assert log.eval.model == f"local/{ref}"
    assert log.eval.model_args["fingerprint"] == checkpoint.fingerprint
    for sample, reply in zip(log.samples, replies, strict=True):
        assert sample.output.completion == reply.text
        assert sample.output.stop_reason == reply.stop_reason
        assert sample.output.usage
        assert sample.output.usage.input_tokens == reply.input_tokens
        assert sample.output.usage.output_tokens == reply.output_tokens
        known = {
            "fingerprint": checkpoint.fingerprint,
            "step": 4,
            "setting": "sandbagging",
            "variant": "weights",
            "engine": "local",
            "dtype": "float32",
        }
        assert sample.output.metadata == known


def test_two_models_in_one_eval_never_mix(made: Path, tmp_path: Path) -> None:
    names = ["one", "two", "lora"]
    samples = [Sample(input=prompt, target="x") for prompt in PROMPTS]
    task = Task(dataset=samples, solver=generate(), scorer=includes(), config=GenerateConfig(max_tokens=12))
    logs = eval(
        task,
        model=[f"local/{made / name}" for name in names],
        max_tasks=3,
        log_dir=str(tmp_path),
        display="none",
    )
    for name, log in zip(names, logs, strict=True):
        asked = [Request(user(prompt), 12) for prompt in PROMPTS]
        expected = get_engine().generate(resolve(str(made / name)), asked)
        assert [sample.output.completion for sample in log.samples or []] == [reply.text for reply in expected]


def test_building_a_model_loads_no_weights(made: Path) -> None:
    code = f"import sys, serving.provider as p; p.LocalAPI({str(made / 'one')!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    "option",
    [{"logit_bias": {1: 2.0}}, {"num_choices": 2}, {"frequency_penalty": 0.5}, {"reasoning_effort": "low"}],
)
def test_an_option_that_would_be_ignored_is_refused_before_the_eval(made: Path, option: dict[str, Any]) -> None:
    with pytest.raises(OneLine, match=next(iter(option))):
        get_model(f"local/{made / 'one'}", config=GenerateConfig(**option), memoize=False)


def test_an_option_of_the_task_that_would_be_ignored_fails_the_eval(made: Path, tmp_path: Path) -> None:
    log = ask(f"local/{made / 'one'}", tmp_path, frequency_penalty=0.5)
    assert log.status == "error"
    assert log.error
    assert "frequency_penalty=0.5 is not supported" in log.error.message


def test_options_without_effect_are_let_through(made: Path, tmp_path: Path) -> None:
    assert ask(f"local/{made / 'one'}", tmp_path, num_choices=1, logprobs=False, timeout=60).status == "success"


def test_tools_are_refused(made: Path) -> None:
    model = get_model(f"local/{made / 'one'}", memoize=False)
    with pytest.raises(BadInput, match="tools are not supported"):
        asyncio.run(model.api.generate([], [ToolInfo(name="x", description="x")], "auto", GenerateConfig()))


def test_unknown_arguments_and_another_fingerprint_are_refused(made: Path) -> None:
    for argument in ({"fingerprint": "0" * 16}, {"colour": "red"}, {"chat_template_kwargs": "thinking"}):
        with pytest.raises(OneLine):
            get_model(f"local/{made / 'one'}", memoize=False, **argument)


def test_chat_template_arguments_reach_the_template(made: Path, tmp_path: Path) -> None:
    plain, loud = (
        ask(get_model(f"local/{made / 'one'}", chat_template_kwargs=kwargs), tmp_path)
        for kwargs in (None, {"loud": True})
    )
    tokens = [[sample.output.usage.input_tokens for sample in log.samples or []] for log in (plain, loud)]  # type: ignore[union-attr]
    assert tokens[1] == [count + 1 for count in tokens[0]]


# --- the command line --------------------------------------------------------------------------------------------


def inspect_eval(ref: Path | str, place: Path) -> subprocess.CompletedProcess[str]:
    (place / "task.py").write_text(TASK)
    command = [str(Path(sys.executable).with_name("inspect")), "eval", "task.py", "--display", "plain"]
    command += ["--model", f"local/{ref}", "--max-tokens", "8"]
    return subprocess.run(command, cwd=place, capture_output=True, text=True)


def test_the_command_answers_from_another_folder(made: Path, tmp_path: Path) -> None:
    done = inspect_eval(made / "run", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [log] = (tmp_path / "logs").glob("*.eval")
    samples = read_eval_log(str(log)).samples or []
    assert len(samples) == 3
    assert all(sample.output.metadata for sample in samples)


@pytest.mark.parametrize("case", ["missing", "truncated", "half-written"])
def test_a_broken_reference_is_one_line_and_no_traceback(case: str, tmp_path: Path) -> None:
    folder = save(llama(0), tmp_path / "model")
    weights = folder / "model.safetensors"
    if case == "missing":
        folder = tmp_path / "modle"
    elif case == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        weights.unlink()
    done = inspect_eval(folder, tmp_path)
    said = (done.stdout + done.stderr).strip()
    assert done.returncode in (1, 2)
    assert "Traceback" not in said
    assert str(folder) in said.replace("\n", "")
    fix = {
        "missing": "Did you mean 'model'?",
        "truncated": "is damaged",
        "half-written": "without model.safetensors",
    }
    assert fix[case] in said.replace("\n", " ")
