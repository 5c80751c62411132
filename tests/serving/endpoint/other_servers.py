"""Servers of other people, with OpenAI's API over HTTP: one scores given replies as vLLM does, others misbehave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.load import load_full, load_tokenizer
from serving.refs import resolve

Answer = Callable[[dict[str, Any]], Response]


def application(answer: Answer, name: str = "theirs", key: str = "sesame", said: dict[str, Any] | None = None) -> Any:
    """A server of one model; `answer` gets the body of each request for a reply."""

    def refused(http: Request) -> Response | None:
        given = http.headers.get("authorization")
        message = f"Incorrect API key provided: {given}"
        return None if given == f"Bearer {key}" else JSONResponse({"error": {"message": message}}, 401)

    async def models(http: Request) -> Response:
        card = {"id": name, "object": "model", "created": id(http), "owned_by": "them", **(said or {})}
        return refused(http) or JSONResponse({"object": "list", "data": [card]})

    async def chat(http: Request) -> Response:
        return refused(http) or answer(await http.json())

    return Starlette(routes=[Route("/v1/models", models), Route("/v1/chat/completions", chat, methods=["POST"])])


def completion(text: str, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "theirs",
        "choices": [choice],
        "usage": usage,
        **more,
    }


def failure(status: int, message: str, **more: Any) -> Response:
    return JSONResponse({"error": {"message": message, **more}}, status)


def like_vllm(ref: str) -> Answer:
    """Scores the tokens of a rendered conversation, as vLLM's `prompt_logprobs`."""
    checkpoint = resolve(ref)
    words, model = load_tokenizer(checkpoint), load_full(checkpoint)

    def answer(body: dict[str, Any]) -> Response:
        ways: Any = {name: bool(body.get(name, name == "add_generation_prompt")) for name in
                ("add_generation_prompt", "continue_final_message")}  # fmt: skip
        text = words.apply_chat_template(body["messages"], tokenize=False, **ways)
        ids = words(str(text), add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            found = torch.log_softmax(model(torch.tensor([ids])).logits[0], -1)
        return JSONResponse(completion("x", prompt_logprobs=[None, *map(entry, found[:-1], ids[1:])]))

    def entry(row: torch.Tensor, token: int) -> dict[str, Any]:
        best = int(row.argmax())
        return {
            str(each): {"logprob": float(row[each]), "rank": 1, "decoded_token": words.decode([each])}
            for each in dict.fromkeys((token, best))
        }

    return answer
