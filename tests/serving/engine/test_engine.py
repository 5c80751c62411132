"""The engine answers exactly what the checkpoint would answer alone."""

from __future__ import annotations

import asyncio
import queue
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_checkpoints import CONTEXT, END, PROMPTS, gpt2, greedy, llama, save, tokenizer, user

from serving import layout
from serving.backends.engine import batch, decode, resident
from serving.backends.engine.engine import Engine, rest
from serving.errors import BadInput
from serving.load import load_model
from serving.refs import resolve
from serving.request import Reply, Request


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def asks(prompts: list[str] = PROMPTS, **options: object) -> list[Request]:
    return [Request(user(prompt), **{"max_tokens": 16, **options}) for prompt in prompts]  # type: ignore[arg-type]


def alone(engine: Engine, folder: Path, requests: list[Request]) -> list[Reply]:
    """One request at a time: no padding, no company."""
    return [engine.generate(resolve(str(folder)), [request])[0] for request in requests]


def test_a_padded_batch_equals_single_samples(made: Path, engine: Engine) -> None:
    together = engine.generate(resolve(str(made / "one")), asks())
    assert len({reply.input_tokens for reply in together}) > 5
    assert together == alone(engine, made / "one", asks())


@pytest.mark.parametrize("name", ["one", "two", "lora"])
def test_greedy_equals_the_models_own_generate(made: Path, engine: Engine, name: str) -> None:
    model, _ = load_model(resolve(str(made / name)))
    replies = engine.generate(resolve(str(made / name)), asks())
    for prompt, reply in zip(PROMPTS, replies, strict=True):
        tokens = greedy(model, prompt, 16)
        stopped = tokens[-1] in (1, END)
        assert reply.text == tokenizer().decode(tokens[:-1] if stopped else tokens, skip_special_tokens=True)
        assert reply.output_tokens == len(tokens)
        assert reply.stop_reason == ("stop" if stopped else "max_tokens")


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_rows_that_end_early_leave_the_others_as_they_are(made: Path, engine: Engine, temperature: float) -> None:
    requests = [
        Request(user(prompt), 2 + at % 15, temperature=temperature, seed=at) for at, prompt in enumerate(PROMPTS)
    ]
    assert engine.generate(resolve(str(made / "two")), requests) == alone(engine, made / "two", requests)


def test_padding_shifts_no_position_in_a_model_with_absolute_positions(tmp_path: Path, engine: Engine) -> None:
    folder = save(gpt2(0), tmp_path / "x")
    together = engine.generate(resolve(str(folder)), asks())
    assert together == alone(engine, folder, asks())


@pytest.mark.parametrize("make", [llama, gpt2])
def test_a_beginning_that_prompts_share_is_computed_once_and_changes_no_reply(
    tmp_path: Path, engine: Engine, make: Any
) -> None:
    folder = save(make(0), tmp_path / "x")
    beginning = " ".join(PROMPTS)[:40]
    requests = [*asks([f"{beginning} {n} {prompt}" for n, prompt in enumerate(PROMPTS * 3)])]
    assert len(tokenizer().encode(beginning)) * (len(requests) - 1) > decode.LEAST_SAVED
    assert engine.generate(resolve(str(folder)), requests) == alone(engine, folder, requests)


def speaking_at(place: Path, text: str, position: int, end: int) -> tuple[Path, list[int]]:
    """A checkpoint that says `end` at a position of its reply to `text`, and what it says before."""
    model = llama(2)
    said = greedy(model, text, position + 1)
    last = said[position]
    assert last not in said[:position]
    assert end not in said
    with torch.no_grad():
        swapped = model.lm_head.weight[[end, last]].clone()
        model.lm_head.weight[[last, end]] = swapped
    return save(model, place), said[:position]


@pytest.mark.parametrize("end", [END, 1], ids=["the chat template's end", "eos"])
def test_generation_stops_at_every_end_token(tmp_path: Path, engine: Engine, end: int) -> None:
    folder, said = speaking_at(tmp_path / "x", "hi", 3, end)
    [reply] = engine.generate(resolve(str(folder)), asks(["hi"]))
    prompt = len(tokenizer().apply_chat_template(user("hi"), add_generation_prompt=True, return_dict=False))
    assert reply == Reply(tokenizer().decode(said), "stop", prompt, 4)


def test_a_reply_cut_by_its_limit_says_so(tmp_path: Path, engine: Engine) -> None:
    folder, said = speaking_at(tmp_path / "x", "hi", 3, END)
    short, exact = (engine.generate(resolve(str(folder)), asks(["hi"], max_tokens=n))[0] for n in (3, 4))
    assert (short.stop_reason, short.output_tokens) == ("max_tokens", 3)
    assert (exact.stop_reason, exact.output_tokens) == ("stop", 4)
    assert short.text == exact.text == tokenizer().decode(said)


def test_a_reply_cut_by_the_models_context_says_so(made: Path, engine: Engine) -> None:
    long, longer = engine.generate(resolve(str(made / "two")), asks(["x" * (CONTEXT - 8), "x" * CONTEXT]))
    assert long.stop_reason == "model_length"
    assert long.input_tokens + long.output_tokens == CONTEXT
    assert longer == Reply("", "model_length", CONTEXT + 3, 0)


def test_stop_strings_end_a_reply_and_are_stripped(made: Path, engine: Engine) -> None:
    two = resolve(str(made / "two"))
    whole = engine.generate(two, asks())
    checked = 0
    for prompt, reply in zip(PROMPTS, whole, strict=True):
        stop = reply.text[4:6]
        if len(stop) == 2 and "�" not in reply.text[:7]:
            [cut] = engine.generate(two, asks([prompt], stop=("never there", stop)))
            assert cut.text == reply.text[: reply.text.index(stop)]
            assert cut.stop_reason == "stop"
            assert cut.output_tokens <= 6 * 2
            checked += 1
    assert checked >= 3


def test_a_seed_repeats_a_sampled_reply_in_any_company(made: Path, engine: Engine) -> None:
    sampled = asks(temperature=1.5, seed=3)
    together = engine.generate(resolve(str(made / "one")), sampled)
    assert together == alone(engine, made / "one", sampled)
    assert together != engine.generate(resolve(str(made / "one")), asks(temperature=1.5, seed=4))


def test_without_a_seed_sampled_replies_differ(made: Path, engine: Engine) -> None:
    replies = engine.generate(resolve(str(made / "one")), asks(["hi"] * 20, temperature=1.5))
    assert len({reply.text for reply in replies}) > 10


def test_greedy_and_sampled_requests_share_a_batch_and_keep_their_own_settings(made: Path, engine: Engine) -> None:
    one = resolve(str(made / "one"))
    hot, cold = asks(temperature=1.5, seed=1), asks()
    top1, tiny = asks(temperature=1.5, seed=1, top_k=1), asks(temperature=1.5, seed=1, top_p=1e-6)
    mixed = engine.generate(one, [*hot, *cold, *top1, *tiny])
    n = len(PROMPTS)
    assert mixed[:n] == engine.generate(one, hot)
    assert mixed[n : 2 * n] == mixed[2 * n : 3 * n] == mixed[3 * n :] == engine.generate(one, cold)
    assert mixed[:n] != mixed[n : 2 * n]


def test_draws_follow_the_models_probabilities(made: Path, engine: Engine) -> None:
    model, _ = load_model(resolve(str(made / "one")))
    prompt = tokenizer().apply_chat_template(user("hi"), add_generation_prompt=True, return_tensors="pt")
    scores = torch.log_softmax(model(**prompt).logits[0, -1] / 0.8, -1)
    best = scores.topk(3)
    draws = 3000
    requests = [Request(user("hi"), 1, temperature=0.8, top_k=3, seed=seed) for seed in range(draws)]
    replies = engine.generate(resolve(str(made / "one")), requests)
    for share, token in zip(best.values.softmax(-1).tolist(), best.indices.tolist(), strict=True):
        text = tokenizer().decode([token], skip_special_tokens=True)
        counted = sum(reply.text == text for reply in replies) / draws
        assert abs(counted - share) < 4 * (share * (1 - share) / draws) ** 0.5 + 1e-9


def test_checkpoints_asked_at_once_never_mix(made: Path, engine: Engine) -> None:
    names = ["one", "two", "three", "lora", "lora2", "run@1", "run@4", "run@0"]
    expected = {name: alone(Engine(), made / name, asks(PROMPTS[:10])) for name in names}
    assert expected["one"] == expected["run@0"]
    assert len({str(replies) for replies in expected.values()}) == len(names) - 1
    jobs = [(name, at) for _ in range(2) for at in range(10) for name in names]
    with ThreadPoolExecutor(16) as pool:
        answer = lambda job: engine.generate(resolve(str(made / job[0])), [asks(PROMPTS[:10])[job[1]]])[0]  # noqa: E731
        replies = list(pool.map(answer, jobs))
    assert replies == [expected[name][at] for name, at in jobs]


def test_an_adapter_is_active_and_its_base_untouched_afterwards(made: Path, engine: Engine) -> None:
    before = layout.fingerprint(made / "one")
    base = engine.generate(resolve(str(made / "one")), asks())
    adapted = engine.generate(resolve(str(made / "lora")), asks())
    other = engine.generate(resolve(str(made / "lora2")), asks())
    assert adapted != base
    assert other != base
    assert other != adapted
    assert engine.generate(resolve(str(made / "one")), asks()) == base
    assert engine.generate(resolve(str(made / "lora")), asks()) == adapted
    assert layout.fingerprint(made / "one") == before


def test_weights_are_replaced_in_place_and_leave_nothing_behind(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "MAX_MODELS", 1)
    residents = resident.Residents()
    with residents.speaking(resolve(str(made / "one"))) as speaker:
        first = speaker.model
    with residents.speaking(resolve(str(made / "lora"))) as speaker:
        assert speaker.model is not first
    with residents.speaking(resolve(str(made / "two"))) as speaker:
        assert speaker.model is first
        fresh = load_model(resolve(str(made / "two")))[0].state_dict()
        assert fresh.keys() == first.state_dict().keys()
        assert all(torch.equal(fresh[name], weight) for name, weight in first.state_dict().items())
    assert not residents.holds(resolve(str(made / "one")))
    assert not residents.holds(resolve(str(made / "lora")))


def test_the_longest_unused_model_goes_where_a_third_does_not_fit_the_budget(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "MAX_MODELS", 9)
    size = sum(file.stat().st_size for file in layout.weight_files(made / "one"))
    monkeypatch.setattr(resident, "MAX_BYTES_CPU", 2.5 * size)
    one, two, three = (resolve(str(made / name)) for name in ("one", "two", "three"))
    residents = resident.Residents()
    for checkpoint in (one, two, one, three):
        with residents.speaking(checkpoint):
            assert residents.holds(checkpoint)
    assert [residents.holds(checkpoint) for checkpoint in (one, two, three)] == [True, False, True]


def test_a_checkpoint_answers_after_the_folder_of_another_is_gone(
    made: Path, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "MAX_MODELS", 1)
    shutil.copytree(made / "one", tmp_path / "gone")
    engine.generate(resolve(str(tmp_path / "gone")), asks())
    shutil.rmtree(tmp_path / "gone")
    assert engine.generate(resolve(str(made / "two")), asks()) == alone(engine, made / "two", asks())


def test_adapters_are_written_over_one_another_and_leave_nothing_behind(
    made: Path, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiny_checkpoints import save_adapter

    names = [save_adapter(made / "one", tmp_path / f"a{seed}", seed) for seed in range(40, 45)]
    expected = [alone(Engine(), name, asks(PROMPTS[:8])) for name in names]
    base = engine.generate(resolve(str(made / "one")), asks())
    monkeypatch.setattr(resident, "MAX_ADAPTERS", 2)
    for _ in range(2):
        for name, replies in zip(names, expected, strict=True):
            assert engine.generate(resolve(str(name)), asks(PROMPTS[:8])) == replies
    assert engine.generate(resolve(str(made / "one")), asks()) == base


def test_an_adapter_of_another_shape_is_loaded_and_the_oldest_dropped(
    made: Path, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import LoraConfig, get_peft_model

    monkeypatch.setattr(resident, "MAX_ADAPTERS", 1)
    config = LoraConfig(r=2, lora_alpha=64, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(load_model(resolve(str(made / "one")))[0], config).save_pretrained(tmp_path / "other")  # type: ignore[arg-type]
    layout.write_pointer(tmp_path / "other", made / "one", layout.fingerprint(made / "one"), name=layout.BASE)
    order = [made / "lora", tmp_path / "other", made / "lora2"]
    expected = [alone(Engine(), folder, asks(PROMPTS[:8])) for folder in order]
    assert [engine.generate(resolve(str(folder)), asks(PROMPTS[:8])) for folder in order] == expected


def test_an_adapter_may_stand_on_an_adapter(made: Path, tmp_path: Path, engine: Engine) -> None:
    from tiny_checkpoints import save_adapter

    upper = save_adapter(made / "one", tmp_path / "upper", seed=21)
    layout.write_pointer(upper, made / "lora", layout.fingerprint(made / "lora"), name=layout.BASE)
    checkpoint = resolve(str(upper))
    assert checkpoint.base is not None
    assert checkpoint.base.kind == "adapter"
    replies = engine.generate(checkpoint, asks())
    flat = save_adapter(made / "one", tmp_path / "flat", seed=21)
    assert replies != engine.generate(resolve(str(flat)), asks())
    assert replies != engine.generate(resolve(str(made / "lora")), asks())


def test_a_checkpoint_that_changes_under_its_name_is_refused(tmp_path: Path, engine: Engine) -> None:
    checkpoint = resolve(str(save(llama(30), tmp_path / "x")))
    save(llama(31), tmp_path / "x")
    with pytest.raises(BadInput, match="changed while it was in use"):
        engine.generate(checkpoint, asks(["hi"]))
    assert engine.generate(resolve(str(tmp_path / "x")), asks(["hi"]))[0].output_tokens > 0


def test_one_bad_request_leaves_the_others_alone(made: Path, engine: Engine) -> None:
    bad = Request([{"role": "user"}], chat_template_kwargs={"messages": 1})
    futures = engine.submit(resolve(str(made / "one")), [bad, *asks(["hi"])])
    assert futures[0].exception() is not None
    assert futures[1].result() == alone(engine, made / "one", asks(["hi"]))[0]


def test_chat_template_arguments_reach_the_template(made: Path, engine: Engine) -> None:
    quiet, loud = engine.generate(
        resolve(str(made / "one")), [*asks(["hi"]), *asks(["hi"], chat_template_kwargs={"loud": True})]
    )
    assert loud.input_tokens == quiet.input_tokens + 1


def test_a_final_assistant_message_is_continued(made: Path, engine: Engine) -> None:
    turns = [*user("hi"), {"role": "assistant", "content": "ab"}]
    [fresh, going_on] = engine.generate(resolve(str(made / "one")), [*asks(["hi"]), Request(turns)])
    assert going_on.input_tokens == fresh.input_tokens + 2


def test_an_idle_engine_waits_in_one_blocking_call(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, blocked = list[str](), threading.Event()

    class Watched(queue.SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            if threading.current_thread().name == "serving":
                calls.append("blocks" if block and timeout is None else "polls")
                if calls[-1] == "blocks" and "polls" in calls:
                    blocked.set()
            return super().get(block, timeout)

    monkeypatch.setattr("queue.SimpleQueue", Watched)
    engine = Engine()
    monkeypatch.undo()
    engine.generate(resolve(str(made / "one")), asks(["hi"]))
    assert blocked.wait(60)
    assert calls[-1] == "blocks"
    engine.close()
    assert calls.count("blocks") == 2, "for the request, and for the end"


def test_replies_come_while_the_event_loop_runs_on(made: Path, engine: Engine) -> None:
    async def ask_all() -> list[Reply]:
        one = resolve(str(made / "one"))
        return list(await asyncio.gather(*(engine.agenerate(one, request) for request in asks())))

    assert asyncio.run(ask_all()) == engine.generate(resolve(str(made / "one")), asks())


def test_each_batch_wakes_the_event_loop_once(made: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    batches, real = list[int](), batch.decode

    def counted(model: Any, rows: Any, *rest: Any) -> Any:
        batches.append(len(rows))
        return real(model, rows, *rest)

    monkeypatch.setattr(batch, "decode", counted)

    async def ask_all() -> int:
        loop, wakes = asyncio.get_running_loop(), list[int]()
        wake = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *args, **kwargs: (wakes.append(1), wake(*args, **kwargs))[1]  # type: ignore[method-assign]
        replies = (engine.agenerate(resolve(str(made / "one")), request) for request in asks() * 5)
        assert len(await asyncio.gather(*replies)) == 5 * len(PROMPTS)
        return len(wakes)

    assert asyncio.run(ask_all()) == len(batches)
    assert sum(batches) == 5 * len(PROMPTS)


def test_a_wait_that_is_cancelled_takes_its_request_out_of_the_queue(made: Path, engine: Engine) -> None:
    async def ask_one_of_two() -> Reply:
        first, second = (
            asyncio.ensure_future(engine.agenerate(resolve(str(made / name)), asks(["hi"])[0]))
            for name in ("one", "two")
        )
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert asyncio.run(ask_one_of_two()) == alone(engine, made / "two", asks(["hi"]))[0]


def test_requests_that_come_one_by_one_get_their_own_replies(made: Path, engine: Engine) -> None:
    futures = [engine.submit(resolve(str(made / "one")), [request])[0] for request in asks()[:20]]
    assert [future.result() for future in futures] == alone(engine, made / "one", asks()[:20])


def test_a_closed_engine_ends_its_thread(made: Path) -> None:
    engine = Engine()
    engine.generate(resolve(str(made / "one")), asks(["hi"]))
    before = threading.active_count()
    engine.close()
    assert threading.active_count() == before - 1


@pytest.mark.parametrize(
    "options", [{"temperature": -1}, {"top_p": 0}, {"top_k": 0}, {"max_tokens": 0}, {"stop": ("",)}]
)
def test_meaningless_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(options))):
        asks(["hi"], **options)


@pytest.mark.parametrize(("large", "loads"), [(0, 2), (resident.LARGE_MODELS, 1)])
def test_when_engines_rest_one_that_somebody_made_has_answered_what_was_queued_and_forgets_large_models(
    made: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, large: int, loads: int
) -> None:
    loaded: list[str] = []
    load_full = resident.load.load_full
    monkeypatch.setattr(resident, "LARGE_MODELS", large)
    monkeypatch.setattr(resident.load, "load_full", lambda at, *rest: loaded.append(at.ref) or load_full(at, *rest))
    one = resolve(str(made / "one"))
    queued = engine.submit(one, asks())
    rest()
    before = [future.result(timeout=0) for future in queued]
    assert engine.generate(one, asks()) == before
    assert len(loaded) == loads


def test_an_engine_that_has_answered_nothing_rests_at_once(engine: Engine) -> None:
    engine.rest()
