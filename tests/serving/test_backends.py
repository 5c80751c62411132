"""Every backend of the registry loads without torch, fits the protocol, and refuses what it cannot use."""

from __future__ import annotations

import inspect
import subprocess
import sys

import anyio
import pytest
from inspect_ai.model import ChatMessageUser

from serving.backends import BACKENDS, DEFAULT, load
from serving.backends.protocol import Backend, Options
from serving.backends.vllm import backend as vllm
from serving.errors import BadInput
from serving.provider import local_model
from serving.refs import resolve
from serving.request import Reply, Request

METHODS = [name for name, _ in inspect.getmembers(Backend, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_loads_no_torch(name: str) -> None:
    code = f"import sys; from serving.backends import load; load({name!r}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_has_the_methods_of_the_protocol(name: str, method: str) -> None:
    own, asked = (inspect.signature(getattr(each, method)).parameters for each in (type(load(name)), Backend))
    assert list(own) == list(asked)


def test_the_default_backend_refuses_an_unknown_option() -> None:
    with pytest.raises(BadInput, match="no model argument is called 'colour'"):
        load(DEFAULT).open(resolve("mini"), Options(others={"colour": "red"}))


@pytest.mark.skipif(vllm.is_installed(), reason="vllm is installed")
def test_vllm_names_the_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VLLM_BASE_URL", raising=False)
    with pytest.raises(BadInput, match="vllm is not installed"):
        load("vllm").open(resolve("mini"), Options(others={"colour": "red"}))


def test_the_backend_of_the_documentation_answers_and_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "loud", "loud")
    model = local_model("mini", engine="loud")
    output = anyio.run(model.generate, "name a colour")
    assert (output.completion, output.stop_reason) == ("NAME A COLOUR", "stop")
    scores = anyio.run(model.api.score_replies, [ChatMessageUser(content="hi")], ["HI", "hi"])  # type: ignore[attr-defined]
    assert [greedy for _, greedy in scores] == [True, False]
    assert load("loud").open(resolve("mini"), Options()).ask([Request([{"role": "user", "content": "a b"}], 1)]) == [
        Reply("A", "max_tokens", 2, 1)
    ]
    with pytest.raises(BadInput, match="loud has no options: leave out colour"):
        load("loud").open(resolve("mini"), Options(others={"colour": "red"}))
