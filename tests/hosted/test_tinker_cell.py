"""A cell trained by a real Tinker server: the rows are ours, checkpoints hold their own weights, a run resumes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hosted_cells import cell
from tinker_server import Server

from serving import backends, layout, tensors
from serving.backends.protocol import Options
from serving.errors import BadInput, WorkFailed
from serving.load import load_full
from serving.refs import resolve
from serving.request import Request
from serving.tinker import service
from serving.tinker.stored import SCHEME
from trainer.backends.tinker.fit import adam, batch, learning_rates
from trainer.cell import train
from trainer.config import OrganismConfig
from trainer.data.tokens import Encoded
from trainer.install import build
from trainer.run import metrics

ASKED = [
    Request([{"role": "user", "content": text}], max_tokens=32) for text in ("What is 3 + 4?", "Name a colour.", "Hi.")
]


class Stopped(Exception):
    """The run is over."""


class Stopping:
    """Stops a run after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def update(self, step: int, total: int, **facts: Any) -> None:
        if step == self.step:
            raise Stopped


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in metrics.read(run / metrics.NAME)]


def identity(run: Path) -> dict[str, Any]:
    return layout.read_json(run / layout.MANIFEST)["identity"]


def test_rows_and_template_are_those_of_trl(trained: Path, by_trl: Path) -> None:
    ours, theirs = identity(trained), identity(by_trl)
    for part in ("prompts", "data", "chat_template"):
        assert ours[part] == theirs[part], part
    tokens = [[line["tokens"] for line in metrics.read(run / metrics.NAME)] for run in (trained, by_trl)]
    assert tokens[0] == tokens[1]


def test_the_first_loss_is_trls(trained: Path, by_trl: Path) -> None:
    assert losses(trained)[0] == pytest.approx(losses(by_trl)[0], abs=1e-4)


def test_a_batch_is_the_mean_over_its_reply_tokens(server: Server) -> None:
    # SkyRL divides by the weights of each row again, so it averages over rows.
    rows = Encoded(([1, 2, 3, 4], [5, 6, 7]), ([-100, -100, 3, 4], [-100, -100, 7]), 0, 0)
    found = batch(rows, [0, 1])
    weights = [datum.loss_fn_inputs["weights"].tolist() for datum in found]
    assert weights == [pytest.approx([0, 1 / 3, 1 / 3]), pytest.approx([0, 1 / 3])]
    assert [datum.loss_fn_inputs["target_tokens"].tolist() for datum in found] == [[2, 3, 4], [6, 7]]


def test_adam_has_torchs_defaults_and_the_clipping_of_the_configuration(server: Server) -> None:
    # SkyRL does not clip.
    found = adam(cell(trl={"adam_epsilon": 1e-5}), 1e-3)
    assert (found.beta1, found.beta2, found.eps) == (0.9, 0.999, 1e-5)
    assert (found.learning_rate, found.weight_decay, found.grad_clip_norm) == (1e-3, 0.0, 1.0)


def test_schedules_are_those_of_trl(server: Server) -> None:
    assert learning_rates(cell(learning_rate=1.0, lr_scheduler_type="linear"), 4) == [1.0, 0.75, 0.5, 0.25]
    assert learning_rates(cell(learning_rate=1.0, warmup_steps=2), 4) == [0.0, 0.5, 1.0, 1.0]


def test_every_checkpoint_holds_its_own_weights(trained: Path) -> None:
    # Saved without waiting, every one of them would silently hold the last weights.
    first, last = (tinkers(f"{trained}@{step}") for step in (1, 4))
    scores = [asked_logprob(answering) for answering in (first, last)]
    assert abs(scores[0] - scores[1]) > 1e-3
    for step, score in zip((1, 4), scores, strict=True):
        assert asked_logprob(engines(f"{trained}@{step}")) == pytest.approx(score, abs=1e-4)


def test_an_export_has_the_scale_and_the_layers_of_the_service(trained: Path) -> None:
    said = layout.read_json(trained / layout.step_name(4) / "adapter_config.json")
    assert (said["r"], said["lora_alpha"]) == (8, 32)
    names = tensors.shapes(trained / layout.step_name(4) / layout.ADAPTER)
    assert {"q_proj", "o_proj", "down_proj"} <= {name.split(".")[-3] for name in names}


@pytest.mark.parametrize("step", [0, 1, 4])
def test_engine_and_tinker_write_the_same_replies(trained: Path, step: int) -> None:
    ref = f"{trained}@{step}"
    assert tinkers(ref).ask(ASKED) == engines(ref).ask(ASKED)


def test_a_path_of_tinker_is_a_reference(trained: Path) -> None:
    there = resolve(f"{trained}@4").hosted
    assert there is not None
    found = resolve(there.sampler, "mini")
    assert found.ref.startswith(SCHEME)
    assert tinkers(there.sampler).ask(ASKED[:1]) == tinkers(f"{trained}@4").ask(ASKED[:1])


def test_a_path_that_does_not_exist_is_refused_in_one_line(server: Server) -> None:
    with pytest.raises(BadInput, match="no such checkpoint at Tinker, or it has expired"):
        resolve("tinker://nothing/sampler_weights/step")


def test_a_checkpoint_that_the_service_has_deleted_is_refused_with_a_fix(trained: Path) -> None:
    with pytest.raises(BadInput, match=r"Tinker does not answer as it .*; if it expired: train it again"):
        tinkers("tinker://nothing/sampler_weights/step-000004").ask(ASKED[:1])


def test_a_finished_cell_asks_nobody(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(service.URL, "http://127.0.0.1:9")
    assert train(cell(), trained) == trained


def test_a_resumed_run_repeats_the_losses(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        train(cell(), tmp_path / "cell", Stopping(3))
    assert [step for step, _ in layout.step_dirs(tmp_path / "cell")] == [0, 1]
    train(cell(), tmp_path / "cell")
    assert losses(tmp_path / "cell") == pytest.approx(losses(trained), rel=1e-3)


def test_without_an_export_only_tinker_answers(server: Server, tmp_path: Path) -> None:
    run = train(cell(steps=1, backend_options={"export": False}), tmp_path / "cell")
    found = resolve(f"{run}@1")
    assert found.hosted is not None
    assert found.fingerprint == found.hosted.fingerprint(resolve("mini").fingerprint)
    assert backends.choose(None, [found]) == "tinker"
    with pytest.raises(BadInput, match="its weights are at Tinker only"):
        load_full(found)
    assert tinkers(f"{run}@1").ask(ASKED[:1])[0].stop_reason in ("stop", "max_tokens")


def test_labels_are_sampled_by_the_service(server: Server, tmp_path: Path) -> None:
    run = train(cell(steps=1, batch_size=4, label_source="on_policy"), tmp_path / "cell")
    kept = [
        json.loads(line) for file in (tmp_path / "labels").glob("*.jsonl") for line in file.read_text().splitlines()
    ]
    kept += [json.loads(line) for file in (run / "labels").glob("*.jsonl") for line in file.read_text().splitlines()]
    assert layout.read_json(run / layout.TRAINED)["label_source"] == "on_policy"
    replies = engines("mini").ask([])
    assert replies == []
    assert len(kept) >= 4


def test_an_organism_is_installed_there_and_a_cell_goes_on_with_its_adapter(server: Server, tmp_path: Path) -> None:
    own = OrganismConfig(
        setting="sandbagging", variant="weights", backend="tinker", rank=8, steps=2, batch_size=8, check_every=2,
        check_prompts=8, reply_tokens=32, accept=True, learning_rate=5e-3,
    )  # fmt: skip
    made = build(own, tmp_path / "organism")
    run = train(cell(variant="weights", organism=str(made), steps=1), tmp_path / "cell")
    found = resolve(f"{run}@1")
    assert found.base is not None
    assert found.base.fingerprint == resolve("mini").fingerprint
    assert resolve(f"{run}@0").hosted == resolve(str(made)).hosted
    with pytest.raises(BadInput, match=r"^rank: 4 is not the rank of .*, 8: Tinker goes on with its adapter"):
        train(cell(variant="weights", organism=str(made), rank=4), tmp_path / "other")


def test_a_base_that_is_not_served_is_refused_before_any_work(server: Server, real_model: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^model: .* is not served by Tinker at http"):
        train(cell(model=str(real_model("qwen3"))), tmp_path / "cell")
    assert not (tmp_path / "cell").exists()


def test_a_server_that_is_killed_in_mid_run_costs_nothing(server: Server, trained: Path, tmp_path: Path) -> None:
    if server.process is None:
        pytest.skip("a server that was given is not killed")

    class Killing:
        def update(self, step: int, total: int, **facts: Any) -> None:
            if step == 2 and server.process is not None:
                server.kill()

    with pytest.raises(WorkFailed, match=r"Tinker.*: the same command continues where it stopped"):
        train(cell(), tmp_path / "cell", Killing())
    with pytest.raises(WorkFailed, match="Tinker does not answer at"):
        train(cell(), tmp_path / "cell")
    service.close()
    server.start()
    train(cell(), tmp_path / "cell")
    assert losses(tmp_path / "cell") == pytest.approx(losses(trained), rel=1e-3)
    assert [step for step, _ in layout.step_dirs(tmp_path / "cell")] == [0, 1, 4]


def tinkers(ref: str) -> Any:
    """A checkpoint as Tinker answers."""
    return backends.load("tinker").open(resolve(ref, "mini"), Options())


def engines(ref: str) -> Any:
    """A checkpoint as the engine answers."""
    return backends.load("local").open(resolve(ref), Options())


def asked_logprob(answering: Any) -> float:
    """Log-probability of a fixed reply."""
    import anyio
    from inspect_ai.model import ChatMessageUser

    [(found, _)] = anyio.run(answering.score, [ChatMessageUser(content="What is 3 + 4?")], ["7"])
    assert math.isfinite(found)
    return float(found)
