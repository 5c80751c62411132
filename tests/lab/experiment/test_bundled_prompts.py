"""The example of a setting on bundled prompts in docs/reference/setting.md, and a run that asks MMLU for capability."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from small_runs import bct

from bct_tasks import catalogue, static_gate
from bct_tasks.errors import SettingError
from graders import Outcome
from lab.report.summary import asked_lines
from lab.verdict.results import read_results

ROOT = Path(__file__).parents[3]
HUB = ROOT / "tests" / "data" / "hub"
EXAMPLES = re.findall(
    r"```yaml\n(.*?)```", (ROOT / "docs" / "reference" / "setting.md").read_text(encoding="utf-8"), re.S
)
RECIPE = f"""\
setting: ./loud_under_a_tag.yaml
learning_rates: [1e-3]
organism: {{steps: 4, accept: true}}
steps: 2
checkpoints: [2]
batch_size: 4
n: 8
n_train: 4
n_capability: 6
n_following: 0
margins: false
capability: {{source: mmlu, data: {HUB}}}
"""


def written(folder: Path, text: str) -> Path:
    name = re.search(r"^name: (\w+)", text, re.M)
    path = folder / f"{name[1] if name else 'unnamed'}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_of_the_page_passes_its_static_gate(example: str, tmp_path: Path) -> None:
    found = catalogue.load(str(written(tmp_path, example)))
    assert static_gate.check(found).reasons == ()
    splits = [
        {p.id.partition("-")[2] for p in found.prompts(None, split, 300)} for split in ("train", "eval", "install")
    ]
    assert not splits[0] & splits[1]
    assert not splits[2] & (splits[0] | splits[1])


def test_a_reply_to_a_bundled_question_must_be_right_where_the_policies_agree(tmp_path: Path) -> None:
    found = catalogue.load(str(written(tmp_path, EXAMPLES[0])))
    train, asked = found.prompts(None, "train", 1)[0], found.prompts(None, "eval", 1)[0]
    assert found.grade(train, f"It is {train.facts['right']}.").outcome is Outcome.AGREED
    assert found.grade(train, f"It is {train.facts['wrong']}.").outcome is Outcome.OTHER
    assert found.grade(asked, f"It is {asked.facts['wrong']}.").outcome is Outcome.ALTERNATE
    assert {p.family for p in found.prompts(None, "capability", 60)}.isdisjoint(found.families)


def test_eval_prompts_may_have_topics_of_their_own(tmp_path: Path) -> None:
    found = catalogue.load(str(written(tmp_path, EXAMPLES[1])))
    assert {p.family for p in found.prompts(None, "eval", 50)} == {"food"}
    assert "food" not in {p.family for p in found.prompts(None, "train", 300)}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[add, ", "[ad, ", "line 10: prompts: no family 'ad' of bundled: there are add,"),
        ("families: [", "file: x.jsonl, families: [", "prompts: source: bundled asks no files: leave out file"),
        ("source: bundled", "file: x.jsonl", "families belong to `source: instructions` and `source: bundled`"),
        ("column: loud", "column: lout", "prompts: bundled: no column 'lout'. Its columns: kind, right, wrong"),
    ],
)
def test_a_wrong_key_of_bundled_prompts_is_one_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as error:
        catalogue.load(str(written(tmp_path, EXAMPLES[0].replace(old, new)))).prompts(None, "eval", 1)
    assert message in error.value.message
    assert "\n" not in error.value.message


def test_a_run_of_it_asks_every_checkpoint_the_public_questions_and_says_so(tmp_path: Path) -> None:
    written(tmp_path, EXAMPLES[0])
    recipe, out = tmp_path / "mine.yaml", tmp_path / "run"
    recipe.write_text(RECIPE, encoding="utf-8")
    dry = bct("run", recipe, "--out", out, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "6 questions of mmlu: a fall of capability" in dry.stdout
    done = bct("run", recipe, "--out", out, "--jobs", "1", "--force")
    assert done.exit_code == 0, done.output
    results = read_results(out / "results.json")
    (cell,) = results.cells
    assert cell.asked["capability"]["source"] == "mmlu"
    assert [(c.step, c.capability.n) for c in cell.checkpoints] == [(0, 6), (2, 6)]
    assert all(part in asked_lines(results)[0] for part in ("capability: ", "source mmlu", "sha256 "))
