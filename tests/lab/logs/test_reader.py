"""The one reader of inspect's logs: the zip directly, every other format through inspect, with the same content."""

from __future__ import annotations

from pathlib import Path

import inspect_ai
import pytest
from inspect_ai.log import read_eval_log, write_eval_log
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from bct_tasks.catalogue import load
from bct_tasks.task import bct_task
from lab.logs.reader import Place, answered_by, answers, places, read_header, read_items, read_replies

N = 6


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scripted model that reports its weights, cut off in its first reply."""
    said = [ModelOutput.from_content("m", f"reply {i}") for i in range(2 * N)]
    for i, output in enumerate(said):
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        output.metadata = {"fingerprint": "abc", "step": 4}
        output.choices[0].stop_reason = "max_tokens" if i == 0 else "stop"
    (made,) = inspect_ai.eval(
        bct_task(load("sandbagging"), "static", "both", n=N),
        model=get_model("mockllm/model", custom_outputs=said),
        log_dir=str(tmp_path_factory.mktemp("logs")),
        max_connections=1,
        display="none",
        log_format="eval",
    )
    return Path(made.location.removeprefix("file://"))


@pytest.fixture(params=["eval", "json"])
def path(request: pytest.FixtureRequest, log: Path, tmp_path: Path) -> Path:
    """The same log in either format."""
    if request.param == "eval":
        return log
    write_eval_log(read_eval_log(str(log)), str(tmp_path / "x.json"))
    return tmp_path / "x.json"


def test_a_header_says_how_the_eval_ended_and_what_was_asked(path: Path) -> None:
    header = read_header(path)
    assert header is not None
    assert (header.ok, header.samples, header.error) == (True, 2 * N, None)
    assert (header.metadata["setting"], header.metadata["variant"]) == ("sandbagging", "static")


def test_either_format_gives_the_same_items_and_replies(path: Path, log: Path) -> None:
    assert read_items(path) == read_items(log)
    assert sorted(read_replies(path), key=repr) == sorted(read_replies(log), key=repr)
    assert [(item.split, item.truncated) for item in read_items(path)].count(("eval", False)) >= N - 1
    assert sum(item.truncated for item in read_items(path)) == 1


def test_the_family_of_a_log_without_families_is_in_the_names_of_templates(log: Path, tmp_path: Path) -> None:
    old = read_eval_log(str(log))
    for sample in old.samples or ():
        del sample.metadata["family"]
    write_eval_log(old, str(tmp_path / "old.eval"))
    assert read_items(tmp_path / "old.eval") == read_items(log)


def test_a_format_is_no_cluster_of_checkable_questions_but_a_template_of_others_is(log: Path, tmp_path: Path) -> None:
    of_format = read_eval_log(str(log))
    samples = of_format.samples or []
    for sample, template in zip(samples, ("format-json", "text-about", "format-mine"), strict=False):
        sample.metadata |= {"split": "capability", "family": template.partition("-")[0], "template": template}
    write_eval_log(of_format, str(tmp_path / "formats.eval"))
    found = {item.id: item.template for item in read_items(tmp_path / "formats.eval")}
    assert [found[str(sample.id)] for sample in samples[:3]] == [samples[0].id, samples[1].id, "format-mine"]


def test_a_reply_in_full_has_its_text_prompt_and_step(path: Path) -> None:
    found = places(path)
    assert len(found) == 2 * N
    for place, answer in zip(found, answers(path, found), strict=True):
        assert answer.text.startswith("reply ")
        assert answer.truncated == (answer.text == "reply 0")
        assert (answer.prompt.id, answer.prompt.kind, answer.step) == (place.id, place.kind, 4)
        assert answer.prompt.user in [p.user for p in load("sandbagging").prompts("static", place.kind, N)]


def test_the_weights_that_answered_are_known_from_the_first_reply(path: Path) -> None:
    assert answered_by(path) == {"fingerprint": "abc", "step": 4}


def test_a_log_that_is_cut_off_is_an_error_in_one_line(log: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.eval"
    cut.write_bytes(log.read_bytes()[:500])
    assert read_header(cut) is None
    assert places(cut) == []
    with pytest.raises(ValueError, match=r"cut\.eval: incomplete"):
        read_items(cut)


def test_a_sample_that_the_log_does_not_hold_is_an_error(path: Path) -> None:
    gone = Place("eval-gone", 1, "sandbagging", "eval")
    with pytest.raises(KeyError, match="eval-gone"):
        answers(path, [gone])
