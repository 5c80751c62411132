"""A complete run on the embedded model: its results, and that it resumes after `kill -9` and repeats nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import read_eval_log

from lab.logs.reader import read_header, read_items
from lab.verdict.results import read_results

ROOT = Path(__file__).parents[3]
RECIPE = """\
question: Is it gone after a few steps?
setting: sandbagging
variants: [weights, static]
learning_rates: [1e-3]
seeds: [0]
steps: 8
batch_size: 8
n: 24
n_train: 12
n_capability: 12
n_following: 0
organism: {steps: 10}
expect:
  - {says: gone everywhere, name: removed}
"""
PATIENCE = 300.0


def command(recipe: Path, out: Path, *more: str) -> list[str]:
    # An organism of ten steps cannot pass its gate: --force.
    return [sys.executable, "-m", "lab", "run", str(recipe), "--out", str(out), "--jobs", "1", "--force", *more]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(recipe: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    done = command(recipe, out, *more)
    return subprocess.run(done, env=environment(), capture_output=True, text=True, timeout=PATIENCE)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without any mishap."""
    out = tmp_path_factory.mktemp("whole") / "run"
    done = run(recipe, out)
    assert done.returncode == 0, done.stderr
    assert "inspect view --log-dir" in done.stdout
    return out


def lasting(run: Path) -> dict[str, tuple[int, str]]:
    """All finished files: time of change and content of complete checkpoints, organisms, logs and manifests."""
    files = [*run.glob("cells/*/step-*/*"), *run.glob("organisms/*/*"), *run.glob("logs/*/*.eval")]
    files += [*run.glob("cells/*/*.json"), *run.glob("starts/*.json")]
    return {str(file.relative_to(run)): _mark(file) for file in files if file.is_file()}


def _mark(file: Path) -> tuple[int, str]:
    return file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()


def content(run: Path) -> bytes:
    return (run / "results.json").read_bytes()


def test_a_run_ends_with_results_a_report_and_one_log_per_checkpoint(whole: Path) -> None:
    results = read_results(whole / "results.json")
    assert len(results.cells) == 2
    for cell in results.cells:
        assert [checkpoint.step for checkpoint in cell.checkpoints] == [0, 1, 2, 4, 8]
        assert all(checkpoint.eval.n + checkpoint.eval.unscored == 24 for checkpoint in cell.checkpoints)
        passes = cell.variant == "static"  # the behavior of the prompt is there at once, ten steps install none
        assert cell.gate["ok"] is passes
        assert ("invalid" in cell.verdict.flags) is not passes
        for checkpoint in cell.checkpoints:
            header = read_header(whole / checkpoint.log)
            assert header is not None
            assert (header.ok, header.samples, header.fingerprint) == (True, 48, checkpoint.fingerprint)
    assert (whole / "report.html").is_file()
    assert not list(whole.rglob(".attempt"))


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
    told = subprocess.run(
        [sys.executable, "-m", "lab", "report", str(out)], env=environment(), capture_output=True, text=True, check=True
    )
    results = read_results(out / "results.json")
    assert all(checkpoint.margin is None for cell in results.cells for checkpoint in cell.checkpoints)
    assert "margins are absent at 10 of 10 checkpoints: its log was made without them" in " ".join(results.deviations)
    assert "margins are absent" in " ".join(told.stdout.split())


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
    done = subprocess.run(
        [sys.executable, "-m", "lab", "status", str(whole), "--json"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    told = json.loads(done.stdout)
    assert {job["state"] for job in told["jobs"]} == {"done"}
    assert (told["driver"], told["seconds_left"]) == (None, 0)


def test_the_same_command_again_changes_no_finished_file(recipe: Path, whole: Path) -> None:
    before, results = lasting(whole), content(whole)
    done = run(recipe, whole, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["cells"]) == 2
    assert lasting(whole) == before
    assert content(whole) == results


def start(driver: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        driver,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite run in the background ignores it
    )


def wait_until(reached: Callable[[], bool], driver: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while not reached():
        assert driver.poll() is None, "the run ended before the moment came"
        assert time.monotonic() < until, "the moment never came"
        time.sleep(0.01)


def killed_when(driver: subprocess.Popen[bytes], reached: Callable[[], bool], out: Path) -> None:
    """`kill -9` of the driver alone, once a state is reached; its workers must end with it."""
    wait_until(reached, driver)
    pids = workers(out)
    assert pids
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    until = time.monotonic() + PATIENCE
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < until, "a worker outlived its driver"
        time.sleep(0.05)


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


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def whole_attempts(out: Path) -> Iterator[str]:
    """Hashes of the logs that an attempt had finished."""
    for log in out.glob("logs/*/.attempt/*.eval"):
        header = read_header(log)
        if header is not None and header.ok:
            yield _mark(log)[1]


def test_a_run_killed_in_training_and_in_evaluation_resumes_and_repeats_nothing(
    recipe: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    killed_when(start(command(recipe, out)), lambda: any(out.glob("cells/*/step-000002/model.safetensors")), out)
    after_training = lasting(out)
    assert not list(out.glob("cells/*/done.json"))

    def second_log_is_begun() -> bool:
        return any(len(list(folder.glob("*.eval"))) >= 2 for folder in out.glob("logs/sandbagging.*/.attempt"))

    killed_when(start(command(recipe, out)), second_log_is_begun, out)
    after_evaluation = lasting(out)
    kept = set(whole_attempts(out))

    driver = start(command(recipe, out))
    wait_until(lambda: bool(workers(out)), driver)
    os.kill(workers(out)[0], signal.SIGKILL)  # as the kernel does when memory runs out
    assert driver.wait(PATIENCE) == 0
    assert content(out) == content(whole)
    at_the_end = lasting(out)
    for before in (after_training, after_evaluation):
        assert {name: at_the_end.get(name) for name in before} == before
    assert kept
    assert kept <= {mark for _, mark in at_the_end.values()}


def test_only_a_truncated_log_is_evaluated_again(recipe: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(whole, out)
    log = next(iter(sorted(out.glob("logs/sandbagging.static*/step-000008.eval"))))
    log.write_bytes(log.read_bytes()[:1000])
    next(iter(out.glob("cells/sandbagging.static*/done.json"))).unlink()
    before = lasting(out)
    done = run(recipe, out)
    assert done.returncode == 0, done.stderr
    changed = {name for name, mark in lasting(out).items() if before.get(name) != mark}
    assert {Path(name).name for name in changed} == {"step-000008.eval", "done.json"}
    assert content(out) == content(whole)


@pytest.fixture(params=["40k", "3m"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system too small for the logs, or for one checkpoint of `mini`."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system needs the right to mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_is_reported_in_one_line(recipe: Path, small_disk: Path) -> None:
    done = run(recipe, small_disk / "run")
    assert done.returncode == 1
    assert any("no space left on the disk" in line for line in done.stderr.splitlines())
    assert "its worker ended" not in done.stderr


def test_a_task_evaluates_the_variant_that_the_checkpoint_was_trained_on(whole: Path, tmp_path: Path) -> None:
    cell = next(whole.glob("cells/sandbagging.static.*"))
    asked = {}
    for name, options in (("own", []), ("other", ["-T", "variant=flag"])):
        inspect = str(Path(sys.executable).parent / "inspect")
        task = [inspect, "eval", "bct_tasks/sandbagging", "--model", f"local/{cell}", "-T", "n=2", *options]
        run = [*task, "--log-dir", str(tmp_path / name), "--display", "none"]
        own = {key: value for key, value in environment().items() if key != "PYTHONPATH"}  # as installed
        subprocess.run(run, env=own, check=True, capture_output=True)
        header = read_eval_log(str(next((tmp_path / name).glob("*.eval"))), header_only=True)
        asked[name] = (header.eval.metadata or {})["variant"], (header.eval.metadata or {})["trained_variant"]
    assert asked == {"own": ("static", "static"), "other": ("flag", "static")}


def test_the_log_viewer_next_to_the_report_contains_every_log_that_a_point_opens(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(whole, out)
    told = [sys.executable, "-m", "lab", "report", str(out), "--bundle", "--json"]
    done = subprocess.run(told, env=environment(), capture_output=True, text=True, timeout=PATIENCE)
    assert len(json.loads(done.stdout)["cells"]) == 2, done.stderr
    page = (out / "report.html").read_text(encoding="utf-8")
    opened = set(re.findall(r'href="viewer/index.html#/logs/([^"]+)"', page))
    assert len(opened) >= 10
    held = json.loads((out / "viewer" / "logs" / "listing.json").read_text())
    assert opened <= set(held)
    assert not re.findall(r'href="[^"#]+\.eval"', page)


@pytest.fixture
def without_a_cell(whole: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the complete run in which one cell is not done, and that cell's folder."""
    out = tmp_path / "copy"
    shutil.copytree(whole, out)
    cell = next(iter(out.glob("cells/sandbagging.static*")))
    shutil.rmtree(cell)
    shutil.rmtree(out / "logs" / cell.name)
    return out, cell


def test_a_cell_that_fails_is_tried_three_times_and_then_reported_with_the_end_of_its_log(
    recipe: Path, without_a_cell: tuple[Path, Path]
) -> None:
    out, cell = without_a_cell
    cell.write_text("in the way")
    done = run(recipe, out)
    assert done.returncode == 1
    assert json.loads((out / "state" / f"{cell.name}.json").read_text())["attempt"] == 3
    assert "1 of 4 jobs failed" in done.stderr
    assert str(out / "state" / f"{cell.name}.log") in done.stderr
    assert "Error" in done.stderr.split(f"{cell.name}: ", 1)[1]
    assert [bool(found.failure) for found in read_results(out / "results.json").cells] == [True, False]


def test_ctrl_c_ends_the_workers_and_the_same_command_resumes(recipe: Path, without_a_cell: tuple[Path, Path]) -> None:
    out, _ = without_a_cell
    driver = start(command(recipe, out))
    wait_until(lambda: bool(workers(out)), driver)
    (pid,) = workers(out)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(PATIENCE) == 1
    assert not is_alive(pid)
    assert run(recipe, out).returncode == 0
    assert read_results(out / "results.json").failures == ()


def test_ctrl_c_twice_ends_a_worker_that_ignores_the_first(recipe: Path, without_a_cell: tuple[Path, Path]) -> None:
    """With a grace of days, a driver that waited again would never end."""
    out, _ = without_a_cell
    patched = (
        "import sys\nfrom lab.experiment import local\nfrom lab.cli.main import main\n"
        "local.GRACE = 1e6\nmain(sys.argv[1:])"
    )
    driver = start([sys.executable, "-c", patched, *command(recipe, out)[3:]])
    wait_until(lambda: bool(workers(out)), driver)
    (pid,) = workers(out)
    os.kill(pid, signal.SIGSTOP)
    driver.send_signal(signal.SIGINT)
    assert driver.stderr is not None
    assert any(b"Ctrl-C again stops immediately" in line for line in driver.stderr)
    assert driver.poll() is None, "the first waits for the worker"
    driver.send_signal(signal.SIGINT)
    assert driver.wait(PATIENCE) == 1
    assert not is_alive(pid)
