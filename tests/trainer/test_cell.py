"""One cell: what it leaves, and what may not change it."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny_runs import MakeCell, make_model, prompts_of, tokenizer, tree, weights

from bct_tasks import catalogue
from serving import layout, load, refs
from serving.errors import BadInput
from trainer.backends.trl.fit import arguments
from trainer.data import rows, tokens
from trainer.run import metrics, model
from trainer.run.loop import Job
from trainer.run.model import Loaded
from trainer.sft import train


def test_a_run_folder_holds_what_the_design_says(finished: Path) -> None:
    steps = [step for step, _ in layout.all_step_dirs(finished)]
    assert steps == [0, 1, 2, 4, 5]
    assert all(layout.problem(path) is None for _, path in layout.all_step_dirs(finished))
    assert not (finished / "resume").exists()
    assert not (finished / ".saving").exists()
    trained = json.loads((finished / "trained.json").read_text())
    assert (trained["steps"], trained["unique_rows"], trained["diverged"]) == (5, 12, False)
    assert trained["passes"] == pytest.approx(20 / 12)


def test_each_step_has_one_line_of_metrics(finished: Path) -> None:
    lines = metrics.read(finished / metrics.NAME)
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["sum_lr"] for line in lines] == pytest.approx([0.01 * n for n in range(1, 6)])
    assert all(a["tokens"] < b["tokens"] for a, b in itertools.pairwise(lines))


def test_the_first_loss_is_the_organisms_own_on_the_rows_it_is_trained_on(
    finished: Path, tiny: Path, cell: MakeCell
) -> None:
    config, setting = cell(), catalogue.load("sandbagging")
    prompts = prompts_of(config)
    made = [rows.row(p, r) for p, r in zip(prompts, rows.references(setting, config, prompts), strict=True)]
    encoded = tokens.encode(made, tokenizer(), frozenset({1, 5}), 512)
    model = load.load_full(refs.resolve(str(tiny)))
    total, count = 0.0, 0
    for place in rows.order(len(encoded), 20, 0)[:4]:
        ids, labels = torch.tensor([encoded.input_ids[place]]), torch.tensor([encoded.labels[place]])
        n = int((labels != -100).sum())
        total, count = total + float(model(input_ids=ids, labels=labels).loss) * n, count + n
    trained = json.loads((finished / "trained.json").read_text())
    assert trained["step0_loss"] == pytest.approx(total / count, rel=1e-4)


def test_step_0_points_to_the_organism(finished: Path, tiny: Path) -> None:
    assert refs.resolve(f"{finished}@0").fingerprint == refs.resolve(str(tiny)).fingerprint


def test_the_server_finds_setting_and_variant_of_a_run(finished: Path) -> None:
    found = refs.resolve(str(finished))
    assert (found.step, found.setting, found.variant) == (5, "sandbagging", "static")


def test_a_checkpoint_answers_with_the_template_and_end_tokens_of_its_organism(finished: Path, tiny: Path) -> None:
    kept = finished / "step-000005"
    assert load.load_tokenizer(refs.resolve(str(kept))).chat_template == tokenizer().chat_template
    own, base = (json.loads((folder / "generation_config.json").read_text()) for folder in (kept, tiny))
    assert own["eos_token_id"] == base["eos_token_id"] == [1, 5]


@pytest.mark.parametrize("rank", [None, 4])
def test_the_same_seed_gives_the_same_weights(rank: int | None, cell: MakeCell, tmp_path: Path) -> None:
    one, two, other = (
        train(cell(rank=rank, seed=seed), tmp_path / name) for name, seed in (("one", 0), ("two", 0), ("other", 1))
    )
    assert [weights(one, step) for step in (1, 5)] == [weights(two, step) for step in (1, 5)]
    assert weights(one, 5) != weights(other, 5)


@pytest.mark.parametrize("rank", [None, 4])
def test_the_distance_at_a_checkpoint_is_the_norm_of_the_change_of_its_weights(
    rank: int | None, cell: MakeCell, tiny: Path, tmp_path: Path
) -> None:
    run = train(cell(rank=rank, checkpoints=(2, 5)), tmp_path / "run")
    start = load.load_full(refs.resolve(str(tiny))).state_dict()
    told = {line["step"]: line["distance"] for line in metrics.read(run / metrics.NAME) if "distance" in line}
    assert set(told) == {2, 5}
    for step, distance in told.items():
        now = dict(load.load_full(refs.resolve(f"{run}@{step}")).named_parameters())
        norm = sum(float((weight.detach() - start[name]).pow(2).sum()) for name, weight in now.items()) ** 0.5
        assert distance == pytest.approx(norm, rel=1e-3)


def test_parts_of_a_run_have_seeds_of_their_own(finished: Path, cell: MakeCell, tmp_path: Path) -> None:
    data, order, same = (
        train(cell(**values), tmp_path / name)
        for name, values in (
            ("data", {"seeds": {"data": 1}}),
            ("order", {"seeds": {"order": 1}}),
            ("same", {"seed": 1, "seeds": {"data": 0, "order": 0, "adapter": 0}}),
        )
    )
    hashes = [json.loads((run / "manifest.json").read_text())["identity"]["data"] for run in (finished, data, order)]
    assert hashes[0] == hashes[2] != hashes[1]
    assert weights(finished, 5) == weights(same, 5) != weights(order, 5)


def test_an_adapters_first_weights_follow_their_own_seed(cell: MakeCell, tmp_path: Path) -> None:
    one, two = (train(cell(rank=4, seeds={"adapter": n}), tmp_path / str(n)) for n in (0, 1))
    assert metrics.read(one / metrics.NAME)[0]["loss"] == metrics.read(two / metrics.NAME)[0]["loss"]
    assert weights(one, 1) != weights(two, 1)


def test_an_adapter_is_active_and_its_base_untouched(cell: MakeCell, tiny: Path, tmp_path: Path) -> None:
    before = tree(tiny)
    run = train(cell(rank=4, learning_rate=0.1), tmp_path / "run")
    assert tree(tiny) == before
    base, adapted = (load.load_model(refs.resolve(ref))[0] for ref in (str(tiny), str(run)))
    ids = torch.tensor([[2, 40, 50, 60]])
    with torch.no_grad():
        assert not torch.allclose(base(input_ids=ids).logits, adapted(input_ids=ids).logits, atol=1e-3)
    names = {
        name.rsplit(".lora_", 1)[0].rsplit(".", 1)[1] for name, _ in adapted.named_parameters() if "lora_A" in name
    }
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_a_moved_run_folder_still_finds_the_base_of_its_adapters(cell: MakeCell, tmp_path: Path) -> None:
    make_model(tmp_path / "before" / "organisms" / "o")
    run = train(cell(rank=4, model=str(tmp_path / "before/organisms/o")), tmp_path / "before" / "cells" / "c")
    mark = refs.resolve(str(run)).fingerprint
    (tmp_path / "before").rename(tmp_path / "after")
    moved = refs.resolve(str(tmp_path / "after" / "cells" / "c"))
    assert moved.fingerprint == mark
    load.load_model(moved)


def test_gradient_accumulation_gives_the_weights_of_one_batch(cell: MakeCell, tmp_path: Path) -> None:
    """Reply tokens weigh the same in every part, and the last window of a pass is trained."""
    whole, parts = (train(cell(gradient_accumulation_steps=n, rows=10, optim="sgd"), tmp_path / str(n)) for n in (1, 2))
    losses = [[line["loss"] for line in metrics.read(run / metrics.NAME)] for run in (whole, parts)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert len(losses[1]) == 5
    one, two = (load.load_full(refs.resolve(str(run))).state_dict() for run in (whole, parts))
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


@pytest.mark.parametrize("rank", [None, 4])
def test_leaving_out_the_prompts_positions_is_trls_own_loss(rank: int | None, cell: MakeCell, tmp_path: Path) -> None:
    same = {"rank": rank, "gradient_accumulation_steps": 2, "optim": "sgd", "learning_rate": 0.1}
    ours = train(cell(**same), tmp_path / "ours")
    trls = train(cell(**same, trl={"loss_type": "chunked_nll"}), tmp_path / "trls")
    one, two = (metrics.read(run / metrics.NAME) for run in (ours, trls))
    for key in ("loss", "grad_norm"):
        assert [line[key] for line in one] == pytest.approx([line[key] for line in two], rel=1e-4)


def test_a_batch_that_does_not_divide_is_refused(cell: MakeCell, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="batch_size: 4 cannot be computed in 3 equal parts"):
        train(cell(gradient_accumulation_steps=3), tmp_path / "run")


def test_warm_up_does_not_eat_a_short_run(cell: MakeCell, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="warmup_steps: 5 of 5 steps leave none"):
        train(cell(warmup_steps=5), tmp_path / "eaten")
    run = train(cell(warmup_steps=2), tmp_path / "run")
    rates = [line["lr"] for line in metrics.read(run / metrics.NAME)]
    assert rates == pytest.approx([0, 0.005, 0.01, 0.01, 0.01])


def test_without_warm_up_every_step_has_the_full_rate(finished: Path) -> None:
    assert {line["lr"] for line in metrics.read(finished / metrics.NAME)} == {0.01}


def test_a_finished_cell_is_not_touched_again(finished: Path, cell: MakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(finished)
    monkeypatch.setattr("trainer.cell.runner", lambda _: pytest.fail("trained again"))
    train(cell(), finished)
    assert tree(finished) == before


def test_another_configuration_in_the_same_folder_is_refused_with_the_difference(
    finished: Path, cell: MakeCell
) -> None:
    with pytest.raises(BadInput, match=r"config.learning_rate: was 0.01, now 0.1\): choose another --out") as caught:
        train(cell(learning_rate=0.1), finished)
    assert "\n" not in caught.value.message


def test_a_changed_prompt_is_refused(finished: Path, cell: MakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
    own = catalogue.load("sandbagging").prompts.__func__

    def changed(self: object, *given: object) -> list[object]:
        from dataclasses import replace

        return [replace(prompt, user=f"{prompt.user} ") for prompt in own(self, *given)]

    monkeypatch.setattr("bct_tasks.setting.Setting.prompts", changed)
    with pytest.raises(BadInput, match="prompts: was"):
        train(cell(), finished)


def test_another_organism_under_the_same_name_is_refused(cell: MakeCell, tmp_path: Path) -> None:
    base = make_model(tmp_path / "base")
    run = train(cell(model=str(base), steps=1), tmp_path / "run")
    shutil.rmtree(base)
    make_model(base, seed=1)
    with pytest.raises(BadInput, match=r"organism.fingerprint: was|written for fingerprint"):
        train(cell(model=str(base), steps=1), run)


def test_a_run_that_diverges_is_finished_and_flagged(cell: MakeCell, tmp_path: Path) -> None:
    run = train(cell(learning_rate=1e30, max_grad_norm=0), tmp_path / "run")
    assert json.loads((run / "trained.json").read_text())["diverged"] is True
    assert [step for step, _ in layout.step_dirs(run)] == [0, 1, 2, 4, 5]
    assert "NaN" not in (run / metrics.NAME).read_text()


def test_training_without_clipping_is_not_called_diverged(cell: MakeCell, tmp_path: Path) -> None:
    run = train(cell(max_grad_norm=0.0, steps=2), tmp_path / "run")
    assert not layout.read_json(run / layout.TRAINED)["diverged"]
    assert all(line["grad_norm"] > 0 for line in metrics.read(run / metrics.NAME))


def test_trls_own_arguments_reach_trl(cell: MakeCell, tiny: Path, tmp_path: Path) -> None:
    checkpoint = refs.resolve(str(tiny))
    loaded = Loaded(load.load_full(checkpoint), tokenizer(), None)  # type: ignore[arg-type]
    given = arguments(Job(cell(trl={"adam_beta2": 0.9}), 5, (5,), tmp_path, loaded, tokens.Encoded((), (), 0, 0)))
    assert given.adam_beta2 == 0.9


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"adam_beta3": 1}, r"unknown argument 'adam_beta3'. Did you mean 'adam_beta\d'"),
        ({"max_steps": 3}, "max_steps is determined by the run: set steps"),
        ({"learning_rate": 3}, "learning_rate is a field of the configuration"),
    ],
)
def test_an_argument_that_trl_does_not_know_or_we_decide_is_refused(
    given: dict[str, object], said: str, cell: MakeCell, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said):
        train(cell(trl=given), tmp_path / "run")
    assert not (tmp_path / "run" / "manifest.json").exists()


def test_a_row_longer_than_the_context_is_counted_in_the_result(cell: MakeCell, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="none of 12 rows fits into 20 tokens"):
        train(cell(max_length=20), tmp_path / "short")
    longest = max(len(ids) for ids in _encoded(cell))
    run = train(cell(max_length=longest - 1), tmp_path / "run")
    assert json.loads((run / "trained.json").read_text())["truncated_rows"] >= 1


def test_two_processes_do_not_train_in_one_folder(cell: MakeCell, tmp_path: Path) -> None:
    from trainer.run.lock import locked

    with locked(tmp_path / "run"), pytest.raises(BadInput, match="another process is at work"):
        train(cell(), tmp_path / "run")


def test_the_positive_control_trains_the_alternate_behavior_at_eval_type_prompts(cell: MakeCell) -> None:
    config, setting = cell(method="direct", label_source=None), catalogue.load("sandbagging")
    prompts = prompts_of(config)
    assert {prompt.kind for prompt in prompts} == {"eval"}
    assert {prompt.split for prompt in prompts} == {"install"}
    assert rows.references(setting, config, prompts) == [setting.alternate.reply(prompt) for prompt in prompts]


def _encoded(cell: Callable[..., object]) -> tuple[list[int], ...]:
    config, setting = cell(), catalogue.load("sandbagging")
    prompts = prompts_of(config)  # type: ignore[arg-type]
    made = [rows.row(prompt, setting.alternate.reply(prompt)) for prompt in prompts]
    return tokens.encode(made, tokenizer(), frozenset({1, 5}), 512).input_ids


def test_cells_of_one_process_share_the_organism_and_the_token_rows(
    cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = train(cell(learning_rate=0.02), tmp_path / "alone")
    for name in ("trainer.run.model.load_full", "trainer.data.tokens.split"):
        monkeypatch.setattr(name, lambda *_, **__: pytest.fail("made again"))
    train(cell(learning_rate=0.05), tmp_path / "between")  # leaves the kept organism as it is
    again = train(cell(learning_rate=0.02), tmp_path / "again")
    assert weights(again, 5) == weights(alone, 5)


def test_an_organism_in_memory_whose_files_have_changed_is_refused(cell: MakeCell, tmp_path: Path) -> None:
    base = make_model(tmp_path / "base")
    found = refs.resolve(str(base))
    model.load(found, cell(model=str(base)))
    make_model(base, seed=1)
    with pytest.raises(BadInput, match="changed while it was in use"):
        model.load(found, cell(model=str(base)))
