"""The 512 prompts that both sides of a comparison answer, and a clock that checks what came back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import inspect_ai
from inspect_ai import Task, task_with
from inspect_ai.model import (
    ChatMessage,
    GenerateConfig,
    Model,
    ModelAPI,
    ModelOutput,
    ModelUsage,
    get_model,
    modelapi,
)
from inspect_ai.tool import ToolChoice, ToolInfo

import serving._registry  # noqa: F401  (the provider is then known also where no entry point is installed)
from bct_tasks import catalogue
from bct_tasks.task import bct_task
from serving.backends.engine.engine import get_engine
from serving.refs import resolve
from serving.request import Request

SETTING = "sandbagging"
N = 512
MAX_TOKENS = 96
CONNECTIONS = (32, 128, 256)
# What the lab itself passes to inspect (`lab.experiment.evaluate`).
QUIET: dict[str, Any] = {
    "display": "none",
    "log_realtime": False,
    "score_display": False,
    "log_header_only": True,
    "acp_server": False,
    "ctl_server": False,
}


def task(n: int = N) -> Task:
    """Eval prompts of one setting; greedy by leaving the temperature out, which `hf/` refuses at 0."""
    asked = bct_task(catalogue.load(SETTING), split="eval", n=n, max_tokens=MAX_TOKENS)
    return task_with(asked, config=GenerateConfig(max_tokens=MAX_TOKENS, adaptive_connections=False))


def requests(n: int = N) -> list[Request]:
    """The same prompts for the engine."""
    prompts = catalogue.load(SETTING).prompts(None, "eval", n)
    return [Request(prompt.messages(), max_tokens=MAX_TOKENS) for prompt in prompts]


def seconds(model: Model, connections: int, n: int = N, **options: Any) -> float:
    """Wall time of one eval. Raises RuntimeError where a sample is missing or the eval did not end well."""
    asked = task(n)
    with TemporaryDirectory() as folder:
        begun = time.perf_counter()
        choices = {"max_connections": connections, "max_samples": connections, "log_dir": folder} | QUIET | options
        [log] = inspect_ai.eval(asked, model=model, **choices)
        took = time.perf_counter() - begun
        done = log.results.completed_samples if log.results else 0
        if log.status != "success" or done != n:
            raise RuntimeError(f"{model}: status {log.status}, {done} of {n} samples")
        if not Path(log.location.removeprefix("file://")).is_file():
            raise RuntimeError(f"{model}: no log")
    return took


def processor_seconds(model: Model, connections: int) -> tuple[float, float]:
    """Wall time and processor time of one eval; the second hardly depends on what else the machine does."""
    used = time.process_time()
    took = seconds(model, connections)
    return took, time.process_time() - used


class Instant(ModelAPI):
    """Knows every reply beforehand: what remains is the cost of inspect itself."""

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig = GenerateConfig(),  # noqa: B008 (inspect's own signature)
        replies: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config)
        self._replies = replies or {}

    async def generate(
        self, input: list[ChatMessage], tools: list[ToolInfo], tool_choice: ToolChoice, config: GenerateConfig
    ) -> ModelOutput:
        """The reply that was given beforehand."""
        output = ModelOutput.from_content(self.model_name, self._replies[_key([m.text for m in input])])
        output.usage = ModelUsage(input_tokens=40, output_tokens=20, total_tokens=60)
        return output


@modelapi(name="instant")
def instant() -> type[ModelAPI]:
    """`instant/<name>`."""
    return Instant


def instant_model(n: int = N) -> Model:
    """A model that gives `mini`'s own replies at once."""
    asked = requests(n)
    replies = get_engine().generate(resolve("mini"), asked)
    known = {
        _key([message["content"] for message in request.messages]): reply.text
        for request, reply in zip(asked, replies, strict=True)
    }
    return get_model("instant/mini", replies=known)


def _key(texts: list[str]) -> str:
    return "\n".join(texts)
