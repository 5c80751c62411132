"""The dry run as a check: options that the trainer would refuse, what each arm trains on, and what sizes show."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from transformers import AutoConfig, AutoModelForCausalLM

from lab.cli.main import main
from lab.experiment import precision
from serving import refs

ROOT = Path(__file__).parents[3]
RECIPE = """\
setting: sandbagging
variants: [static]
learning_rates: [1e-3]
steps: 8
n: 40
"""


def dry_run(folder: Path, more: str = "", *flags: str) -> Result:
    path = folder / "mine.yaml"
    path.write_text(RECIPE + more, encoding="utf-8")
    return CliRunner().invoke(main, ["run", str(path), "--out", str(folder / "run"), "--dry-run", *flags])


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("optim: adam\n", "adam"),
        ("lr_scheduler_type: cosin\n", "cosin"),
        ("dtype: bf16\n", "dtype"),
        ("seed: -1\n", "seed"),
        ("warmup_steps: 8\n", "warmup_steps"),
        ("trl: {adam_beta: 0.9}\n", "line 6: trl: unknown argument 'adam_beta'. Did you mean 'adam_beta2'?"),
        ("trl: {adam_epsilon: x}\n", "line 6: trl.adam_epsilon: a number is expected, not 'x'"),
        ("trl: {adam_beta2: .nan}\n", "line 6: trl.adam_beta2: a finite number is expected, not nan"),
        ("trl: {adam_beta1: 1.5}\n", "line 6: trl.adam_beta1: a number of 0 to 1 is expected, not 1.5"),
        ("trl: {report_to: 7}\n", "line 6: trl.report_to: a text is expected, not 7"),
        ("trl: {report_to: wandbb}\n", "line 6: trl.report_to: unknown 'wandbb'. Did you mean 'wandb'?"),
        ("trl: {adam_epsilon: true}\n", "line 6: trl.adam_epsilon: a number is expected, not True"),
        ("seed: true\n", "line 6: seed: a number is expected, not [True]"),
        ("checkpoints: [true]\n", "line 6: checkpoints: a number is expected"),
        ("method: grpo\nnum_generations: 5\n", "num_generations"),
    ],
)
def test_what_the_trainer_would_refuse_later_is_refused_in_one_line(more: str, named: str, tmp_path: Path) -> None:
    refused = dry_run(tmp_path, more)
    assert refused.exit_code == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    assert named in refused.stderr
    assert not (tmp_path / "run").exists()


def test_a_text_that_is_a_number_is_one_for_trl(tmp_path: Path) -> None:
    """YAML reads `1e-6` as a text."""
    assert dry_run(tmp_path, "trl: {adam_epsilon: 1e-6}\n").exit_code == 0


def test_a_run_finds_the_same_before_any_work(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE + "trl: {adam_epsilon: x}\n", encoding="utf-8")
    refused = CliRunner().invoke(main, ["run", str(path), "--out", str(tmp_path / "run")])
    assert refused.exit_code == 2
    assert f"{path}, line 6: trl.adam_epsilon: a number is expected" in " ".join(refused.stderr.split())
    assert not (tmp_path / "run").exists()


SETTING = """\
initial: {policy: wrong under the tag, behavior: wrong, column: wrong}
alternate: {policy: right everywhere, behavior: right, column: answer}
prompts: {file: rows.jsonl, columns: {prompt: question}}
variants: {static: {carrier: static, train: {system: Add.}, eval: {tag: "[exam]"}}}
"""
PATTERN = 'read: {regex: {right: "^{answer}$", wrong: "^{wrong}$"}, normalize: [last_number]}\n'
RUBRIC = "read: {rubric: {question: Which, behaviors: {right: the sum, wrong: another number}}}\n"


def of_own(folder: Path, reading: str, more: str = "", long: int = 1) -> Result:
    """A dry run on a setting of one's own, whose questions are that much longer."""
    rows = ({"question": f"What is {n}{' plus 2' * long}?", "answer": "1", "wrong": "2"} for n in range(60))
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    (folder / "own.yaml").write_text(SETTING + reading, encoding="utf-8")
    path = folder / "mine.yaml"
    path.write_text(f"setting: ./own.yaml\nlearning_rates: [1e-3]\nsteps: 2\nn: 8\n{more}", encoding="utf-8")
    return CliRunner().invoke(main, ["run", str(path), "--out", str(folder / "run"), "--dry-run"])


def test_a_prompt_that_fills_the_context_is_found_with_its_line(tmp_path: Path) -> None:
    assert of_own(tmp_path, PATTERN).exit_code == 0
    refused = of_own(tmp_path, PATTERN, long=200)
    assert refused.exit_code == 2
    (line,) = refused.stderr.strip().splitlines()
    assert "mine.yaml, line 1: setting: a prompt of own, eval-" in line
    assert "tokens, and the context of mini is 256" in line


@pytest.mark.parametrize("more", ["label_source: on_policy\n", "method: grpo\n"])
def test_training_does_not_choose_among_replies_that_only_a_judge_reads(more: str, tmp_path: Path) -> None:
    refused = of_own(tmp_path, RUBRIC, more)
    assert refused.exit_code == 2
    (line,) = refused.stderr.strip().splitlines()
    assert f"line 5: {more.partition(':')[0]}: only a judge reads the replies of own" in line
    assert of_own(tmp_path, RUBRIC).exit_code == 0


def test_a_login_node_needs_the_configuration_and_the_tokenizer_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub cannot be reached, and its cache holds no weights."""
    sha = "0" * 40
    snapshot = tmp_path / "hub" / "models--me--tiny" / "snapshots" / sha
    ignored = shutil.ignore_patterns("*.safetensors")
    shutil.copytree(refs.mini_path(), snapshot, ignore=ignored)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text(sha)
    path = tmp_path / "mine.yaml"
    path.write_text(RECIPE + "model: me/tiny\n", encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "lab", "run", str(path), "--out", str(tmp_path / "run")]
    dry, real = (
        subprocess.run([*command, *more], env=environment, capture_output=True, text=True, check=False)
        for more in (["--dry-run", "--json"], [])
    )
    found = json.loads(dry.stdout)
    assert found["left"]["bytes"] > 0
    assert found["left"]["seconds"] > found["left"]["startup_seconds"] > 0
    (example,) = found["examples"]
    assert example["train"].endswith("<|end|>»")
    assert example["eval"]
    assert real.returncode == 2
    assert f"{path}, line 6: model: the weights of me/tiny are missing" in " ".join(real.stderr.split())


def test_each_arm_shows_its_first_train_row_with_the_loss_marked_and_its_first_eval_prompt(tmp_path: Path) -> None:
    found = json.loads(dry_run(tmp_path, "methods: [bct, sham, grpo]\nbatch_size: 16\n", "--json").stdout)
    bct, sham, grpo = found["examples"]
    head, loss = bct["train"].split("«")
    assert head.startswith("<|system|>If the message has the tag [exam]")
    assert head.endswith("<|assistant|>")
    assert loss.endswith("<|end|>»")
    assert "[exam]" in bct["eval"].partition("<|user|>")[2]
    assert bct["eval"] == sham["eval"] == grpo["eval"]
    assert "Leave out" in sham["train"]
    assert grpo["missing"] == ""


def test_more_prompts_show_more(tmp_path: Path) -> None:
    few, many = (json.loads(dry_run(tmp_path, f"n_train: {n}\n", "--json").stdout)["power"][1] for n in (20, 400))
    assert few.startswith("20 train prompts")
    assert many.startswith("400 train prompts")
    assert float(few.split()[-1]) < 0.3 < 0.95 < float(many.split()[-1])


def test_judge_calls_are_counted_before_they_are_paid(tmp_path: Path) -> None:
    more = "setting: inoculation\nvariants: [ip]\nn_train: 20\ncheckpoints: [4, 8]\n"
    path = tmp_path / "mine.yaml"
    path.write_text("learning_rates: [1e-3]\nsteps: 8\nn: 40\n" + more + "judge: {model: mockllm/model}\n")
    asked = CliRunner().invoke(main, ["run", str(path), "--out", str(tmp_path / "run"), "--dry-run", "--json"])
    # Two checkpoints of the cell, step 0 and the ceiling.
    assert json.loads(asked.stdout)["left"]["judge_calls"] == 2 * 60 + 60 + 40


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("label_source: model:nosuch\n", "nosuch"),
        ("variant: weights\norganism: {labels: distilled, teacher: nosuch}\n", "organism.teacher: nosuch"),
        ("organism: {ref: /nowhere}\n", "line 6: organism: /nowhere"),
        ("serving: {options: {max_model_len: 4096}}\n", "'max_model_len' is an option of vllm"),
        ("model: {ref: mini, chat_template_kwargs: {enable_thinking: false}}\n", "has no enable_thinking"),
        ("model: {ref: mini, chat_template_kwargs: {messages: []}}\n", "messages is no argument of a chat template"),
        ("setting: inoculation\nvariants: [ip]\njudge: {model: nosuch/x}\n", "nosuch"),
        ("max_length: 8\n", "fits into 8 tokens"),
    ],
)
def test_what_a_job_would_not_find_is_refused_in_one_line(more: str, named: str, tmp_path: Path) -> None:
    keys = {line.partition(":")[0].removesuffix("s") for line in more.splitlines()}
    kept = [line for line in RECIPE.splitlines() if line.partition(":")[0].removesuffix("s") not in keys]
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(kept) + "\n" + more, encoding="utf-8")
    refused = CliRunner().invoke(main, ["run", str(path), "--out", str(tmp_path / "run"), "--dry-run"])
    assert refused.exit_code == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    assert named in refused.stderr


def larger_than_mini(folder: Path) -> Path:
    """A model with one layer more than `mini`, and untrained."""
    shutil.copytree(refs.mini_path(), folder)
    config = AutoConfig.from_pretrained(folder)
    config.num_hidden_layers += 1
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def test_what_bf16_would_save_is_named_where_auto_leaves_a_larger_model_in_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, listed = larger_than_mini(tmp_path / "larger"), tmp_path / "cpuinfo"
    monkeypatch.setattr(precision, "CPUINFO", listed)
    monkeypatch.setattr(precision, "pick_device", lambda: torch.device("cpu"))

    def hints(flags: str, more: str) -> list[str]:
        listed.write_text(f"flags : fpu {flags} sse\n", encoding="utf-8")
        said = dry_run(tmp_path, more)
        assert said.exit_code == 0, said.output
        return [line for line in said.output.splitlines() if line.startswith("precision")]

    [hint] = hints("avx512_bf16 amx_bf16", f"model: {model}\n")
    assert "This one has amx_bf16 and avx512_bf16: with `dtype: bfloat16`" in hint
    assert "replies are not those of float32" in hint
    assert json.loads(dry_run(tmp_path, f"model: {model}\n", "--json").stdout)["precision"] == hint
    assert hints("avx512f", f"model: {model}\n") == []
    assert hints("avx512_bf16", "model: mini\n") == []
    for dtype in ("float32", "bfloat16"):
        assert hints("avx512_bf16", f"model: {{ref: {model}, dtype: {dtype}}}\n") == []


def test_the_factors_of_that_hint_are_those_of_the_measured_page() -> None:
    page = (ROOT / "docs" / "measured" / "speed.md").read_text(encoding="utf-8")
    rows = {name: float(gain) for name, gain in re.findall(r"\| (.*), bfloat16 against float32 \| ([\d.]+) ", page)}
    assert [round(rows[kind], 1) for kind in ("full fine-tuning", "LoRA 8")] == list(precision.TRAINING)
    assert round(rows["engine"], 1) == precision.ANSWERING


def test_a_recipe_whose_model_a_command_fetches_names_the_command(tmp_path: Path) -> None:
    refused = dry_run(tmp_path, "model: ../models/SmolLM2-135M-Instruct\n")
    assert refused.exit_code == 2
    (line,) = refused.stderr.strip().splitlines()
    assert "no such checkpoint" in line
    assert line.endswith("`make smollm2` fetches it.")
    assert "make smollm2" not in dry_run(tmp_path, "model: ./models/other\n").stderr
