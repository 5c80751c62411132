"""A complete run on the embedded model: its results, and that it resumes after `kill -9` and repeats nothing."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import read_eval_log
from small_runs import (
    PATIENCE,
    RECIPE,
    arguments,
    bct,
    command,
    content,
    is_alive,
    lasting,
    mark,
    run,
    start,
    wait_until,
)

from bct_tasks.settings.sandbagging import sandbagging
from lab.logs.reader import read_header, read_items
from lab.verdict.results import read_results


def test_a_run_ends_with_results_a_report_and_one_log_per_checkpoint(whole: Path) -> None:
    results = read_results(whole / "results.json")
    assert len(results.cells) == 2
    for cell in results.cells:
        assert [checkpoint.step for checkpoint in cell.checkpoints] == [0, 1, 2, 4, 8]
        assert all(checkpoint.eval.n + checkpoint.eval.unscored == 12 for checkpoint in cell.checkpoints)
        passes = cell.variant == "static"  # the behavior of the prompt is there at once, four steps install none
        assert cell.gate["ok"] is passes
        assert ("invalid" in cell.verdict.flags) is not passes
        for checkpoint in cell.checkpoints:
            header = read_header(whole / checkpoint.log)
            assert header is not None
            assert (header.ok, header.samples, header.fingerprint) == (True, 24, checkpoint.fingerprint)
    assert (whole / "report.html").is_file()
    assert not list(whole.rglob(".attempt"))


def test_inspects_lists_tell_what_each_log_asked_and_of_which_checkpoint(whole: Path) -> None:
    for cell in read_results(whole / "results.json").cells:
        log = read_eval_log(str(whole / cell.checkpoints[-1].log), header_only=True).eval
        asked = {"setting": "sandbagging", "source": "bundled", "variant": cell.variant, "split": "all", "n": 12}
        assert log.task == "sandbagging"
        assert asked.items() <= log.task_args.items()
        assert {"sandbagging", cell.variant, "bct", "lr 0.001", "seed 0", "step 8"} <= set(log.tags or [])
        assert log.model.endswith("/step-000008")


def test_results_have_both_behaviors_and_replies_to_the_same_prompts_before_and_after(whole: Path) -> None:
    results = read_results(whole / "results.json")
    assert [behaviors.setting for behaviors in results.behaviors] == ["sandbagging"]
    assert {shown.cell for shown in results.shown} == {cell.id for cell in results.cells}
    for shown in results.shown:
        assert {prompt.split for prompt in shown.prompts} == {"eval", "train"}
        assert {reply.prompt for reply in shown.replies} == {prompt.id for prompt in shown.prompts}
        [cell] = [cell for cell in results.cells if cell.id == shown.cell]
        for split in ("eval", "train"):
            first = next(prompt for prompt in shown.prompts if prompt.split == split)
            assert [reply.step for reply in shown.replies if reply.prompt == first.id] == [0, 8]
            assert first.turns[-1].role == "user"
        known = {item.id: item.outcome for item in read_items(whole / cell.checkpoints[-1].log)}
        assert all(known[reply.prompt] == reply.outcome for reply in shown.replies if reply.step == 8)


def test_points_of_the_report_open_pages_of_replies_from_the_disk(whole: Path) -> None:
    report = (whole / "report.html").read_text(encoding="utf-8")
    addresses = set(re.findall(r'href="(replies/[^"#]+)#step=\d+"', report))
    results = read_results(whole / "results.json")
    assert addresses == {f"replies/{cell.id}.html" for cell in results.cells}
    for shown in results.shown:
        page = html.unescape((whole / "replies" / f"{shown.cell}.html").read_text(encoding="utf-8"))
        assert all(prompt.turns[-1].text in page for prompt in shown.prompts)
        assert all(reply.text in page for reply in shown.replies)


def test_view_writes_the_replies_of_a_cell_named_by_its_hash(whole: Path) -> None:
    cell = read_results(whole / "results.json").cells[0]
    page = whole / "replies" / f"{cell.id}.html"
    page.unlink()
    done = bct("view", whole, "--cell", cell.hash, "--no-browser")
    assert done.exit_code == 0, done.output
    assert page.resolve().as_uri() in done.output
    assert cell.id in page.read_text(encoding="utf-8")
    assert "no finished cell 'nonsense'" in bct("view", whole, "--cell", "nonsense").output


def test_every_checkpoint_has_a_margin_and_the_step_0_prefers_the_initial_reply(whole: Path) -> None:
    cells = {cell.variant: cell for cell in read_results(whole / "results.json").cells}
    for cell in cells.values():
        for checkpoint in cell.checkpoints:
            margin = checkpoint.margin
            assert margin is not None
            assert margin.lo is not None
            assert margin.hi is not None
            assert 0 < margin.n <= checkpoint.eval.n
            assert margin.lo < margin.mean < margin.hi
    first = cells["static"].checkpoints[0]
    assert first.margin is not None
    assert first.margin.mean < 0
    # Greedy decoding is what was asked: a reply that is the reference word for word counts as its behavior.
    assert 0 < first.margin.initial_greedy.k <= first.eval.initial.k
    for checkpoint in (c for cell in cells.values() for c in cell.checkpoints):
        rows = [item for item in read_items(whole / checkpoint.log) if item.greedy]
        assert all(item.outcome == item.greedy for item in rows)


def test_a_run_whose_logs_have_no_margins_is_reported_with_a_deviation(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "old"
    shutil.copytree(whole, out)
    for log in out.glob("logs/*/*.eval"):
        without_margins(log)
    told = bct("report", out)
    assert told.exit_code == 0, told.output
    results = read_results(out / "results.json")
    assert all(checkpoint.margin is None for cell in results.cells for checkpoint in cell.checkpoints)
    assert "margins are absent at 10 of 10 checkpoints: its log was made without them" in " ".join(results.deviations)
    assert "margins are absent" in " ".join(told.output.split())


def without_margins(log: Path) -> None:
    """Removes the margins from a log, as if it had been written before there were any."""
    with zipfile.ZipFile(log) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    rows = json.loads(members["summaries.json"])
    for row in rows:
        row["scores"].pop("margins", None)
    members["summaries.json"] = json.dumps(rows).encode()
    with zipfile.ZipFile(log, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def test_status_reads_done_from_the_files_alone(whole: Path) -> None:
    told = json.loads(bct("status", whole, "--json").stdout)
    assert {job["state"] for job in told["jobs"]} == {"done"}
    assert (told["driver"], told["seconds_left"]) == (None, 0)


def test_the_same_command_again_changes_no_finished_file(recipe: Path, whole: Path) -> None:
    before, results = lasting(whole), content(whole)
    done = run(recipe, whole, "--json")
    assert done.exit_code == 0, done.stderr
    assert len(json.loads(done.stdout)["cells"]) == 2
    assert lasting(whole) == before
    assert content(whole) == results


def reaches(driver: subprocess.Popen[bytes], reached: Callable[[], bool]) -> None:
    """Waits for a state of a run that has not ended."""

    def now() -> bool:
        assert driver.poll() is None, "the run ended before the moment came"
        return reached()

    wait_until(now, "the moment to interrupt")


def killed_when(driver: subprocess.Popen[bytes], reached: Callable[[], bool], out: Path) -> None:
    """`kill -9` of the driver alone, once a state is reached; its workers must end with it."""
    reaches(driver, reached)
    pids = workers(out)
    assert pids
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not any(map(is_alive, pids)), "a worker outlived its driver")


def workers(out: Path) -> list[int]:
    """Workers of this run: the pid in an old state may be another process's by now."""
    states: list[dict[str, Any]] = []
    for path in (out / "state").glob("*.json"):
        with suppress(FileNotFoundError):  # a driver that begins removes old states
            states.append(json.loads(path.read_text()))
    return sorted({state["pid"] for state in states if str(out) in words(state["pid"]) and is_alive(state["pid"])})


def words(pid: int) -> list[str]:
    """The command line of a process; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def whole_attempts(out: Path) -> Iterator[str]:
    """Hashes of the logs that an attempt had finished."""
    for log in out.glob("logs/*/.attempt/*.eval"):
        header = read_header(log)
        if header is not None and header.ok:
            yield mark(log)[1]


def without_a_cell(whole: Path, variant: str, out: Path) -> Path:
    """Makes `out` a copy of the complete run in which the cell of a variant is not begun; that cell's folder."""
    shutil.copytree(whole, out)
    [cell] = out.glob(f"cells/sandbagging.{variant}*")
    shutil.rmtree(cell)
    shutil.rmtree(out / "logs" / cell.name)
    return cell


def test_a_run_killed_in_training_and_in_evaluation_resumes_and_repeats_nothing(
    recipe: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    cell = without_a_cell(whole, "weights", out)
    killed_when(start(command(recipe, out)), (cell / "step-000002" / "model.safetensors").exists, out)
    after_training = lasting(out)
    assert not (cell / "done.json").exists()

    def second_log_is_begun() -> bool:
        return len(list((out / "logs" / cell.name / ".attempt").glob("*.eval"))) >= 2

    driver = start(command(recipe, out))
    reaches(driver, lambda: bool(workers(out)))
    os.kill(workers(out)[0], signal.SIGKILL)  # as the kernel does when memory runs out; the driver starts another
    killed_when(driver, second_log_is_begun, out)
    after_evaluation = lasting(out)
    kept = set(whole_attempts(out))
    assert run(recipe, out).exit_code == 0
    assert content(out) == content(whole)
    at_the_end = lasting(out)
    for before in (after_training, after_evaluation):
        assert {name: at_the_end.get(name) for name in before} == before
    assert kept
    assert kept <= {mark for _, mark in at_the_end.values()}


def test_ctrl_c_ends_the_workers_and_the_same_command_evaluates_only_a_truncated_log_again(
    recipe: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(whole, out)
    [log] = out.glob("logs/sandbagging.static*/step-000008.eval")
    log.write_bytes(log.read_bytes()[:1000])
    next(iter(out.glob("cells/sandbagging.static*/done.json"))).unlink()
    before = lasting(out)
    driver = start(command(recipe, out))
    reaches(driver, lambda: bool(workers(out)))
    (pid,) = workers(out)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(PATIENCE) == 1
    assert not is_alive(pid)
    done = run(recipe, out)
    assert done.exit_code == 0, done.output
    changed = {name for name, mark in lasting(out).items() if before.get(name) != mark}
    assert {Path(name).name for name in changed} == {"step-000008.eval", "done.json"}
    assert content(out) == content(whole)
    assert read_results(out / "results.json").failures == ()


@pytest.fixture(params=[("40k", "static"), ("3m", "weights")], ids=["logs", "checkpoint"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """A file system too small for the logs, or for one checkpoint of `mini`; and a recipe that begins with that."""
    size, variant = request.param
    recipe = tmp_path / "recipe.yaml"
    text = RECIPE if variant == "weights" else RECIPE.replace("organism: {steps: 4}\n", "")
    recipe.write_text(text.replace("[weights, static]", f"[{variant}]"), encoding="utf-8")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system needs the right to mount: {mounted.stderr.strip()}")
    yield recipe, folder / "run"
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_is_reported_in_one_line(small_disk: tuple[Path, Path]) -> None:
    done = run(*small_disk)
    assert done.exit_code == 1
    assert any("no space left on the disk" in line for line in done.stderr.splitlines())
    assert "its worker ended" not in done.stderr


def test_a_task_evaluates_the_variant_that_the_checkpoint_was_trained_on(whole: Path, tmp_path: Path) -> None:
    cell = next(whole.glob("cells/sandbagging.static.*"))
    asked = {}
    for name, options in (("own", {}), ("other", {"variant": "flag"})):
        [log] = inspect_eval(
            sandbagging, model=f"local/{cell}", task_args={"n": 2, **options}, log_dir=str(tmp_path / name),
            display="none",
        )  # fmt: skip
        assert log.status == "success"
        asked[name] = (log.eval.metadata or {})["variant"], (log.eval.metadata or {})["trained_variant"]
    assert asked == {"own": ("static", "static"), "other": ("flag", "static")}


def test_a_log_made_by_hand_shows_the_training_of_the_weights_that_answered_and_of_no_others(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, other = (shutil.copytree(next(whole.glob(f"cells/sandbagging.{v}.*")), v) for v in ("static", "weights"))
    [log] = inspect_eval(
        sandbagging, model=f"local/{first}@4", task_args={"n": 2}, log_dir="logs", display="none"
    )  # fmt: skip
    assert log.status == "success"
    assert {(row["method"], row["lr"], row["seed"]) for row in table("logs")} == {("bct", 1e-3, 0)}
    Path(first).rename("gone")
    Path(other).rename(first)
    assert {(row["method"], row["lr"], row["seed"]) for row in table("logs")} == {(None, None, None)}


def table(logs: str) -> list[dict[str, Any]]:
    return json.loads(bct("table", logs, "--format", "json").stdout)


def test_the_log_viewer_next_to_the_report_contains_every_log_that_a_point_opens(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(whole, out)
    done = bct("report", out, "--bundle", "--json")
    assert len(json.loads(done.stdout)["cells"]) == 2, done.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    opened = set(re.findall(r'href="viewer/index.html#/logs/([^"]+)"', page))
    assert len(opened) >= 10
    held = json.loads((out / "viewer" / "logs" / "listing.json").read_text())
    assert opened <= set(held)
    assert not re.findall(r'href="[^"#]+\.eval"', page)


def test_a_cell_that_fails_is_tried_three_times_and_then_reported_with_its_reason_and_the_place_of_its_output(
    recipe: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    cell = without_a_cell(whole, "static", out)
    cell.write_text("in the way")
    done = run(recipe, out)
    assert done.exit_code == 1
    assert json.loads((out / "state" / f"{cell.name}.json").read_text())["attempt"] == 3
    assert "1 of 4 jobs failed" in done.stderr
    assert str(out / "state" / f"{cell.name}.log") in done.stderr
    assert "Error" in done.stderr.split(f"{cell.name}: ", 1)[1].splitlines()[0]
    assert "Traceback" not in done.stderr
    assert [bool(found.failure) for found in read_results(out / "results.json").cells] == [True, False]


def test_ctrl_c_twice_ends_a_worker_that_ignores_the_first(recipe: Path, tmp_path: Path) -> None:
    """With a grace of days, a driver that waited again would never end."""
    out = tmp_path / "run"
    patched = (
        "import sys\nfrom lab.experiment import local\nfrom lab.cli.main import main\n"
        "local.GRACE = 1e6\nmain(sys.argv[1:])"
    )
    driver = start([sys.executable, "-c", patched, *arguments(recipe, out)])
    reaches(driver, lambda: bool(workers(out)))
    (pid,) = workers(out)
    os.kill(pid, signal.SIGSTOP)
    driver.send_signal(signal.SIGINT)
    assert driver.stderr is not None
    assert any(b"Ctrl-C again stops immediately" in line for line in driver.stderr)
    assert driver.poll() is None, "the first waits for the worker"
    driver.send_signal(signal.SIGINT)
    assert driver.wait(PATIENCE) == 1
    assert not is_alive(pid)
