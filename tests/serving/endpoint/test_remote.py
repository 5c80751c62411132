"""A model that someone else serves answers evals: as the checkpoint does, and in one line where it does not."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import zipfile_zstd  # noqa: F401  # inspect compresses with zstd
from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ChatMessageUser, GenerateConfig, ModelOutput
from other_servers import application, completion, failure, like_vllm
from served_here import running
from starlette.responses import JSONResponse, Response
from tiny_checkpoints import PROMPTS, user

from serving import backends
from serving.backends.engine.engine import Engine, get_engine
from serving.backends.protocol import Options
from serving.endpoint import server
from serving.errors import BadInput, LabError, WorkFailed
from serving.provider import local_model
from serving.refs import at_present, resolve
from serving.request import Request

KEY = "bct-very-secret"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("WRONG_KEY", "bct-also-secret")


@pytest.fixture(scope="module")
def url(made: Path) -> Iterator[str]:
    """`bct serve` with `one` and `lora`."""
    named = {name: resolve(str(made / name)) for name in ("one", "lora")}
    with running(server.application(named, KEY, Engine())) as address:
        yield address


def opened(ref: str, **options: Any) -> Any:
    checkpoint = resolve(ref)
    return backends.load(backends.choose(None, [checkpoint])).open(checkpoint, Options(**options))


def theirs(address: str) -> str:
    return f"{address}?key=MY_KEY#theirs"


def generated(ref: str, text: str = "1?", **config: Any) -> ModelOutput:
    return anyio.run(local_model(ref, GenerateConfig(max_tokens=12, **config)).generate, text)


@pytest.mark.parametrize("config", [{}, {"temperature": 1.0, "seed": 3}, {"top_k": 2, "temperature": 0.7, "seed": 1}])
def test_replies_and_usage_are_those_of_the_checkpoint(url: str, made: Path, config: dict[str, Any]) -> None:
    for name in ("one", "lora"):
        there, here = generated(f"{url}?key=MY_KEY#{name}", **config), generated(str(made / name), **config)
        assert (there.completion, there.stop_reason) == (here.completion, here.stop_reason)
        assert there.usage is not None
        assert here.usage is not None
        assert there.usage.output_tokens == here.usage.output_tokens
        assert there.usage.input_tokens == here.usage.input_tokens


def test_requests_outside_of_an_eval_keep_their_order(url: str, made: Path) -> None:
    asked, model = [Request(user(prompt), 8) for prompt in PROMPTS], opened(f"{url}?key=MY_KEY#one")
    expected = [reply.text for reply in get_engine().generate(resolve(str(made / "one")), asked)]
    assert [[reply.text for reply in model.ask(asked)] for _ in range(2)] == [expected, expected]


def test_an_eval_names_the_model_and_nowhere_the_key(url: str, tmp_path: Path) -> None:
    ref = f"{url}?key=MY_KEY#one"
    task = Task([Sample(input="1?")], config=GenerateConfig(max_tokens=4))
    [log] = eval(task, model=local_model(ref), display="none", log_dir=str(tmp_path))
    assert log.status == "success"
    assert log.samples
    said = log.samples[0].output.metadata or {}
    assert said["served"]["by"] == "served by someone else; weights not verified"
    assert said["served"]["name"] == "one"
    assert said["fingerprint"] == at_present(resolve(ref)).fingerprint == log.eval.model_args["fingerprint"]
    with zipfile.ZipFile(log.location) as content:
        assert not any(KEY.encode() in content.read(name) for name in content.namelist())


@pytest.mark.parametrize("status", [400, 401, 422])
def test_a_server_that_repeats_the_key_brings_it_into_no_log(status: int, tmp_path: Path) -> None:
    task = Task([Sample(input="1?")], config=GenerateConfig(max_tokens=4))
    with running(application(lambda body: failure(status, f"your key is {KEY}"), key=KEY)) as address:
        [log] = eval(task, model=local_model(theirs(address)), display="none", log_dir=str(tmp_path))
    assert log.error is not None
    assert KEY not in log.error.model_dump_json()
    with zipfile.ZipFile(log.location) as content:
        assert not any(KEY.encode() in content.read(name) for name in content.namelist())


def test_the_fingerprint_is_of_address_name_and_what_the_server_says() -> None:
    marks: set[str] = set()
    for said in ({"max_model_len": 8}, {"max_model_len": 8}, {"max_model_len": 16}):
        with running(application(lambda body: Response(), key=KEY, said=said)) as address:
            checkpoint = at_present(resolve(theirs(address)))
            assert checkpoint.fingerprint == at_present(resolve(theirs(address))).fingerprint  # `created` differs
            assert checkpoint.served is not None
            marks.add(json.dumps(checkpoint.served.card))
    assert len(marks) == 2
    assert resolve("http://a/v1#x").fingerprint == resolve("http://a/v1/?key=K#x").fingerprint
    assert len({resolve(f"http://{each}").fingerprint for each in ("a/v1#x", "b/v1#x", "a/v1#y")}) == 3


@pytest.mark.parametrize(
    ("ref", "says"),
    [
        ("{url}?key=MY_KEY#on", "has no model 'on'. Did you mean 'one'?"),
        ("{url}?key=MY_KEY#zzzz", "It has lora, one."),
        ("{url}#one", "needs a key (401)"),
        ("{url}?key=WRONG_KEY#one", "the key in $WRONG_KEY is refused (401)"),
        ("{url}?key=NO_SUCH_KEY#one", "$NO_SUCH_KEY is not set: export NO_SUCH_KEY="),
        ("{url}x?key=MY_KEY#one", "404"),
        ("http://127.0.0.1:9/v1#one", "does not answer (connection refused): start the server"),
        ("http://me:bct-very-secret@127.0.0.1/v1#one", "an address with a password"),
        ("http://127.0.0.1/v1?key=bct-very-secret#one", "not the key itself"),
        ("http://127.0.0.1/v1?token=bct-very-secret#one", "leave it out"),
        ("http://127.0.0.1/v1", "names no model: add its name, as in http://127.0.0.1/v1#NAME"),
        ("http://#x", "has no host"),
        ("http://a:b/v1#x", "is not one"),
    ],
)
def test_an_address_that_cannot_be_asked_is_one_line_without_the_key(url: str, ref: str, says: str) -> None:
    with pytest.raises(LabError) as caught:
        at_present(resolve(ref.format(url=url)))
    assert says in caught.value.message
    assert "\n" not in caught.value.message
    assert "secret" not in caught.value.message


def test_what_the_server_decides_cannot_be_asked_for(url: str) -> None:
    ref = f"{url}?key=MY_KEY#one"
    for options, says in (
        ({"dtype": "bfloat16"}, "chooses dtype"),
        ({"others": {"colour": 1}}, "no argument 'colour'"),
    ):
        with pytest.raises(BadInput, match=says):
            opened(ref, **options)
    with pytest.raises(BadInput, match=r"engine=vllm: .* is served by someone else"):
        backends.choose("vllm", [resolve(ref)])
    with pytest.raises(BadInput, match="engine=endpoint asks an address"):
        backends.load("endpoint").open(resolve("mini"), Options())
    with pytest.raises(BadInput, match="no weights here"):
        get_engine().generate(resolve(ref), [Request(user("1?"))])


# --- servers that misbehave -----------------------------------------------------------------------


def test_a_rate_limit_and_a_cut_reply_are_asked_again() -> None:
    cut = Response('{"id": "x", "choi', media_type="application/json")
    answers = [failure(429, "slow down"), cut, JSONResponse(completion("done"))]
    with running(application(lambda body: answers.pop(0), key=KEY)) as address:
        assert opened(theirs(address)).ask([Request(user("1?"))])[0].text == "done"


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (failure(400, "System role not supported"), BadInput, r"the server refuses \(400\): System role not supported"),
        (failure(401, f"Incorrect API key provided: {KEY}"), BadInput, r"the key in \$MY_KEY is refused"),
        (failure(404, "no such model"), BadInput, "404, no such model"),
        (failure(422, f"you sent {KEY}"), BadInput, r"the server refuses \(422\): you sent \$MY_KEY"),
        (JSONResponse(completion("") | {"choices": []}), WorkFailed, "an answer without a reply"),
    ],
)
def test_a_refused_request_is_one_line_with_the_servers_words(
    answer: Response, kind: type[LabError], says: str
) -> None:
    with running(application(lambda body: answer, key=KEY)) as address, pytest.raises(kind, match=says) as caught:
        opened(theirs(address)).ask([Request(user("1?"))])
    assert KEY not in caught.value.message


def test_a_prompt_beyond_the_context_is_an_empty_reply_and_a_long_limit_is_not() -> None:
    def answer(body: dict[str, Any]) -> Response:
        long = body["messages"][-1]["content"] == "too long"
        if long or body.get("max_tokens"):
            return failure(400, "This model's maximum context length is 8 tokens. However, you requested 99")
        return JSONResponse(completion("fits") | {"usage": None})

    with running(application(answer, key=KEY)) as address:
        replies = opened(theirs(address)).ask([Request(user("too long")), Request(user("short"))])
    assert [(reply.text, reply.stop_reason) for reply in replies] == [("", "model_length"), ("fits", "stop")]


def test_a_server_that_goes_away_ends_the_work_in_one_line() -> None:
    with running(application(lambda body: JSONResponse(completion("done")), key=KEY)) as address:
        model = opened(theirs(address))
        assert model.ask([Request(user("1?"))])[0].text == "done"
    with pytest.raises(WorkFailed, match="does not answer any more: the same command continues") as caught:
        model.ask([Request(user("1?"))])
    assert caught.value.lasting


# --- given replies --------------------------------------------------------------------------------


def test_given_replies_are_scored_as_by_the_engine_where_the_server_does() -> None:
    [greedy] = get_engine().generate(resolve("mini"), [Request(user("2 + 2?"), 100)])
    asked, replies = [ChatMessageUser(content="2 + 2?")], [greedy.text, "four", "no, never"]
    here = anyio.run(opened("mini").score, asked, replies)
    with running(application(like_vllm("mini"), key=KEY)) as address:
        there = anyio.run(opened(theirs(address)).score, asked, replies)
    assert [logprob for logprob, _ in there] == pytest.approx([logprob for logprob, _ in here], abs=1e-4)
    assert [is_greedy for _, is_greedy in there] == [is_greedy for _, is_greedy in here] == [True, False, False]


def test_without_log_probabilities_one_line_says_so(url: str) -> None:
    seen: list[object] = []

    def answer(body: dict[str, Any]) -> Response:
        seen.append(body)
        return JSONResponse(completion("I ignore options"))

    with running(application(answer, key=KEY)) as address:
        model = opened(theirs(address))
        for _ in range(2):
            with pytest.raises(BadInput, match=r"gives no log-probabilities of a given reply$"):
                anyio.run(model.score, [ChatMessageUser(content="1?")], ["yes"])
    assert len(seen) == 1
    with pytest.raises(BadInput, match=r"of a given reply \(.*the option add_generation_prompt is not supported"):
        anyio.run(opened(f"{url}?key=MY_KEY#one").score, [ChatMessageUser(content="1?")], ["yes"])
