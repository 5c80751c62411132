"""On-policy labels: the organism's own replies, asked for once, and only those that are graded `agreed`."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from tiny_runs import MakeCell, prompts_of

from bct_tasks import catalogue
from serving import refs
from serving.errors import WorkFailed
from trainer.data import labels, rows, samples

SETTING = catalogue.load("sandbagging")


class Scripted:
    """An engine whose replies are the input of the test: right, wrong, and right but cut off, in turn."""

    asked = 0

    def generate(self, checkpoint: Any, requests: list[Any]) -> list[Any]:
        Scripted.asked += 1
        return [self._reply(place, request) for place, request in enumerate(requests)]

    def _reply(self, place: int, request: Any) -> Any:
        prompt = self.by_text[request.messages[-1]["content"]]
        text = prompt.replies["wrong" if place % 3 == 1 else "right"]
        return SimpleNamespace(text=text, stop_reason="max_tokens" if place % 3 == 2 else "stop")

    by_text: ClassVar[dict[str, Any]] = {}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[Scripted]:
    Scripted.asked = 0
    monkeypatch.setattr("serving.backends.engine.engine.get_engine", Scripted)
    return Scripted


def collect(config: Any, tiny: Path, folder: Path) -> rows.Collected:
    parts = rows.parts(SETTING, config)
    Scripted.by_text = {prompt.user: prompt for part in parts for prompt in part.prompts}
    return labels.collect(SETTING, config, parts, refs.resolve(str(tiny)), folder)


def test_only_complete_replies_that_are_graded_agreed_become_labels(
    engine: type[Scripted], cell: MakeCell, tiny: Path, tmp_path: Path
) -> None:
    found = collect(cell(label_source="on_policy", rows=12), tiny, tmp_path)
    assert (found.source, found.asked, len(found.rows)) == ("on_policy", 22, 8)
    right = {prompt.id: prompt.replies["right"] for prompt in prompts_of(cell(rows=22, steps=6))}
    assert all(row.reply == right[row.id] for row in found.rows)


def test_replies_are_sampled_once(engine: type[Scripted], cell: MakeCell, tiny: Path, tmp_path: Path) -> None:
    config = cell(label_source="on_policy")
    first = collect(config, tiny, tmp_path)
    assert collect(config.model_copy(update={"learning_rate": 1.0}), tiny, tmp_path) == first
    assert engine.asked == 1
    collect(config.model_copy(update={"seed": 1}), tiny, tmp_path)
    assert engine.asked == 2


def test_the_seed_of_decoding_changes_sampled_labels_and_no_greedy_ones(cell: MakeCell, tiny: Path) -> None:
    asked = [prompt.messages() for prompt in prompts_of(cell())[:4]]

    def replies(temperature: float, decoding: int) -> list[str]:
        config = cell(label_source="on_policy", label_temperature=temperature, seeds={"decoding": decoding})
        config = config.model_copy(update={"reply_tokens": 6})
        return [reply.text for reply in samples.ask(refs.resolve(str(tiny)), asked, config)]

    assert replies(0, 0) == replies(0, 1)
    assert replies(1, 0) == replies(1, 0)
    assert replies(1, 0) != replies(1, 1)


def test_the_cells_of_an_experiment_share_their_replies(tmp_path: Path) -> None:
    organism, cell = tmp_path / "organisms" / "o", tmp_path / "cells" / "c"
    organism.mkdir(parents=True)
    (organism / "manifest.json").write_text("{}")
    assert labels.cache_folder(str(organism), cell) == organism
    assert labels.cache_folder(None, cell) == labels.cache_folder("mini", cell) == tmp_path
    assert labels.cache_folder("mini", tmp_path / "y") == tmp_path / "y"


def test_a_reply_with_unicode_line_breaks_is_kept(
    engine: type[Scripted], cell: MakeCell, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = engine.generate

    def broken(self: Any, checkpoint: Any, requests: list[Any]) -> list[Any]:
        said = own(self, checkpoint, requests)
        return [SimpleNamespace(text=f"So:\u2028\u2029\x85\n{each.text}", stop_reason="stop") for each in said]

    monkeypatch.setattr(engine, "generate", broken)
    config = cell(label_source="on_policy")
    first = collect(config, tiny, tmp_path)
    assert first.rows[0].reply.startswith("So:\u2028\u2029\x85\n")
    assert collect(config, tiny, tmp_path) == first
    assert engine.asked == 1


def test_labels_are_sampled_under_a_system_prompt_from_a_template_without_a_system_role(
    cell: MakeCell, tiny: Path, tmp_path: Path
) -> None:
    """The real engine on random weights: its replies are no labels, and it has made them all."""
    folder = shutil.copytree(tiny, tmp_path / "model")
    template = (folder / "chat_template.jinja").read_text()
    refuses = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refuses + template)
    config = cell(label_source="on_policy", model=str(folder), reply_tokens=4, label_system="Be brief.")
    with pytest.raises(WorkFailed, match="none of its 22 replies to train prompts is graded agreed"):
        collect(config, folder, tmp_path)


def test_a_damaged_cache_is_sampled_again(engine: type[Scripted], cell: MakeCell, tiny: Path, tmp_path: Path) -> None:
    config = cell(label_source="on_policy")
    first = collect(config, tiny, tmp_path)
    [file] = (tmp_path / labels.FOLDER).iterdir()
    file.write_text(file.read_text()[:-20])
    assert collect(config, tiny, tmp_path) == first
    assert engine.asked == 2


def test_a_model_that_never_agrees_is_an_error(cell: MakeCell, tiny: Path, tmp_path: Path) -> None:
    """The real engine on random weights."""
    with pytest.raises(WorkFailed, match="none of its 22 replies to train prompts is graded agreed"):
        collect(cell(label_source="on_policy", reply_tokens=4), tiny, tmp_path)


def test_another_spelling_is_a_label_source(cell: MakeCell, tiny: Path, tmp_path: Path) -> None:
    inoculation = catalogue.load("inoculation")
    config = cell(setting="inoculation", variant="ip", label_source="off_model", rows=4)
    own = config.model_copy(update={"label_source": "reference"})
    organism = refs.resolve(str(tiny))
    other, same = (
        labels.collect(inoculation, c, rows.parts(inoculation, c), organism, tmp_path) for c in (config, own)
    )
    assert [row.reply for row in other.rows] != [row.reply for row in same.rows]
    assert other.facts()["label_source"] == "off_model"
