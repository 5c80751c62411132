"""The dry run as a check: options that the trainer would refuse, what each arm trains on, and what sizes show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab.cli.main import main

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
        ("trl: {adam_beta: 0.9}\n", "adam_beta2"),
        ("method: grpo\nnum_generations: 5\n", "num_generations"),
    ],
)
def test_what_the_trainer_would_refuse_later_is_refused_in_one_line(more: str, named: str, tmp_path: Path) -> None:
    refused = dry_run(tmp_path, more)
    assert refused.exit_code == 2
    assert len(refused.stderr.strip().splitlines()) == 1
    assert named in refused.stderr
    assert not (tmp_path / "run").exists()


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
        ("organism: {ref: /nowhere}\n", "organism: /nowhere"),
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
