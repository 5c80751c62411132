"""Training backends: each fits the protocol, and Tinker refuses what it cannot do before any work, in one line."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

from serving.errors import BadInput
from trainer.algorithms.preferences import DpoConfig
from trainer.backends import BACKENDS, load
from trainer.backends.protocol import Backend
from trainer.config import OrganismConfig, TrainConfig, config_of
from trainer.run import ranks

METHODS = [name for name, _ in inspect.getmembers(Backend, inspect.isfunction) if not name.startswith("_")]


def cell(**more: Any) -> TrainConfig:
    values: dict[str, Any] = {"setting": "sandbagging", "variant": "static", "backend": "tinker", "rank": 8} | more
    return config_of(values.get("method", "bct")).model_validate(values)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_training_backend_loads_neither_torch_nor_a_client(name: str) -> None:
    code = "import sys; from trainer.backends import load; load(sys.argv[1]); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, name]).returncode == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BACKENDS)
def test_a_training_backend_has_the_methods_of_the_protocol(name: str, method: str) -> None:
    own, asked = (inspect.signature(getattr(each, method)).parameters for each in (type(load(name)), Backend))
    assert list(own) == list(asked)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"rank": None}, "rank: Tinker trains LoRA adapters only: set a rank"),
        ({"lora_alpha": 16}, "lora_alpha: Tinker's is 32 at every rank"),
        ({"kl": 0.1}, "kl: Tinker does not return"),
        ({"watch": 4}, "watch: is not measured at Tinker"),
        ({"optim": "muon"}, "optim: Tinker has AdamW here, not muon"),
        ({"dtype": "bfloat16"}, "dtype: Tinker chooses its precision"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps: Tinker divides batches"),
        ({"trl": {"neftune_noise_alpha": 5}}, "trl: Tinker has no neftune_noise_alpha, only adam_beta1"),
        ({"method": "grpo"}, "method: grpo is trained by TRL only"),
        ({"method": "dpo"}, "method: dpo is trained by TRL only"),
        ({"backend_options": {"ttl_dais": 3}}, "backend_options: unknown option 'ttl_dais'. Did you mean 'ttl_days'?"),
        ({"backend_options": {"ttl_days": 0}}, "backend_options: ttl_days: input should be greater than"),
    ],
)
def test_tinker_refuses_what_it_cannot_do(option: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as error:
        load("tinker").check(cell(**option))
    assert error.value.message.startswith(said)
    assert "\n" not in error.value.message


def test_tinker_takes_the_scale_that_it_uses_and_adams_own_arguments() -> None:
    load("tinker").check(cell(lora_alpha=32, trl={"adam_epsilon": 1e-5, "adam_beta2": 0.95}, max_grad_norm=0))


def test_tinker_trains_organisms_as_adapters_too() -> None:
    with pytest.raises(BadInput, match=r"^organism\.rank: Tinker trains LoRA adapters only"):
        load("tinker").check(OrganismConfig(setting="sandbagging", backend="tinker"))


def test_tinker_trains_from_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "count", lambda: 2)
    with pytest.raises(BadInput, match=r"^backend: tinker trains from one process"):
        load("tinker").check(cell())


def test_trl_has_no_options_of_a_backend() -> None:
    with pytest.raises(BadInput, match="ttl_days is no option of the backend trl"):
        load("trl").check(cell(backend="trl", backend_options={"ttl_days": 3}))


def test_the_scale_of_an_adapter_is_the_services() -> None:
    assert cell().identity()["lora_alpha"] == 32.0
    assert cell(backend="trl").identity()["lora_alpha"] == 16.0


def test_a_backend_is_part_of_the_identity_and_its_options_are_not() -> None:
    assert "backend" not in cell(backend="trl").identity()
    assert cell().digest() != cell(backend="trl", lora_alpha=32).digest()
    assert cell().digest() == cell(backend_options={"export": False}).digest()


def test_a_method_of_trl_names_its_own_configuration() -> None:
    assert isinstance(cell(method="dpo"), DpoConfig)
