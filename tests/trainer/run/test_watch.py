"""Seeing a run: before it starts, while it goes, and when it goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tiny_runs import MakeCell, interrupted_at, tokenizer, weights

from serving import refs
from serving.load import load_model
from trainer import sft
from trainer.run import metrics
from trainer.run.preview import preview
from trainer.run.watch import LINES, PICTURE
from trainer.sft import train


def watched(run: Path) -> list[dict[str, Any]]:
    return metrics.read(run / LINES)


def test_a_watched_run_has_the_margin_of_every_checkpoint_and_the_weights_of_an_unwatched_one(
    finished: Path, cell: MakeCell, tmp_path: Path
) -> None:
    run = train(cell(watch=3), tmp_path / "run")
    assert [line["step"] for line in watched(run)] == [0, 1, 2, 4, 5]
    assert {line["n"] for line in watched(run)} == {3}
    assert len({line["margin"] for line in watched(run)}) == 5
    assert (run / PICTURE).read_text().startswith("<?xml")
    assert [weights(run, step) for step in (1, 5)] == [weights(finished, step) for step in (1, 5)]


def test_the_margin_is_the_one_that_the_server_scores(cell: MakeCell, tmp_path: Path) -> None:
    from bct_tasks import catalogue
    from serving.backends.engine.engine import Engine
    from serving.request import Continuation

    run = train(cell(watch=2), tmp_path / "run")
    setting = catalogue.load("sandbagging")
    prompts = setting.prompts("static", "eval", 2)
    asked = [
        Continuation(p.messages(), policy.reply(p)) for p in prompts for policy in (setting.initial, setting.alternate)
    ]
    engine = Engine()
    scores = [scored.logprob for scored in engine.score(refs.resolve(f"{run}@5"), asked)]
    engine.close()
    margin = ((scores[1] - scores[0]) + (scores[3] - scores[2])) / 2
    assert watched(run)[-1]["margin"] == pytest.approx(margin, abs=1e-3)


def test_watching_goes_on_where_the_run_does(cell: MakeCell, tmp_path: Path) -> None:
    config = cell(watch=2, resume_seconds=0.001)
    with interrupted_at(3), pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run")
    assert [line["step"] for line in watched(tmp_path / "run")] == [0, 1, 2]
    train(config, tmp_path / "run")
    assert [line["step"] for line in watched(tmp_path / "run")] == [0, 1, 2, 4, 5]


def test_a_preview_shows_the_row_that_is_trained_on_first_and_counts_what_the_run_will(
    finished: Path, cell: MakeCell
) -> None:
    said = preview(cell())
    assert said["tokens"] == json.loads((finished / "trained.json").read_text())["tokens"]
    prompt, _, rest = said["first_row"].partition("«")
    assert prompt.endswith("<|assistant|>")
    assert rest.endswith("<|end|>»")
    assert 0 < said["tokens_on_loss"] < said["tokens"]
    assert said["estimate"]["seconds"] > 0
    model, _ = load_model(refs.resolve(cell().model))
    # The embedding and the head are one tensor, which the file holds once.
    assert said["estimate"]["parameters"] == sum(p.numel() for p in model.parameters())
    assert said["longest_row"] <= 512


def test_a_preview_says_that_sampled_labels_are_not_known_yet(cell: MakeCell) -> None:
    assert "shown and counted with reference labels" in preview(cell(label_source="on_policy"))["labels"]


def test_the_dry_run_prints_the_first_row_unescaped(tiny: Path, tmp_path: Path) -> None:
    words = ["--setting", "sandbagging", "--variant", "static", "--model", str(tiny), "--label_source", "reference"]
    done = CliRunner().invoke(sft.main, [*words, "--steps", "2", "--out", str(tmp_path / "x"), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert tokenizer().eos_token in done.stdout
    assert "\\n" not in done.stdout.partition("first_row")[2].partition("labels")[0]
    assert not (tmp_path / "x").exists()


def test_a_run_that_diverges_says_so_and_names_the_step(tiny: Path, tmp_path: Path) -> None:
    words = ["--setting", "sandbagging", "--variant", "static", "--model", str(tiny), "--label_source", "reference"]
    words += ["--steps", "3", "--batch_size", "4", "--learning_rate", "1e30", "--max_grad_norm", "0", "--watch", "1"]
    done = CliRunner().invoke(sft.main, [*words, "--out", str(tmp_path / "x")])
    assert done.exit_code == 0, done.output
    assert "diverged at step" in done.stderr
    assert watched(tmp_path / "x")[-1]["margin"] is None
