"""A run on a Ray cluster of which one node dies and another is unreachable for a while: the results are the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_runs import PATIENCE, ROOT, command, content, environment, is_alive, lasting, wait_until

pytest.importorskip("ray", reason="pip install 'bct-tasks[ray]'")

RECIPE = """\
setting: sandbagging
learning_rates: [1e-3]
steps: 24
checkpoints: [8, 16, 24]
seeds: [0]
batch_size: 8
n: 12
n_train: 6
n_capability: 6
n_following: 0
margins: false
organism: {steps: 4}
resources: {cpus: 1}
thresholds: {reversal_start: 0.5}
arms:
  - {variants: [weights]}
  - {variants: [static], reversal: {learning_rate: [1e-4, 1e-3], steps: 4}}
"""
# A node is given up after some seconds.
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
    "grpc_client_keepalive_time_ms": 1000,
    "grpc_client_keepalive_timeout_ms": 2000,
}


#: A node, the worker on it, and the folder of the attempt that the worker was found at.
Moment = tuple[Any, int, Path]


@dataclass(frozen=True)
class Survived:
    """A run with mishaps, what it had and what lay beside when its driver ended; the worker and job held back."""

    run: Path
    left: dict[str, tuple[int, str]]
    beside: list[Path]
    late: int
    job: str


@pytest.fixture(scope="module")
def survived(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survived]:
    from ray.cluster_utils import Cluster

    # The nodes inherit these. Ray's workers have a low priority, and would hardly run next to other work.
    os.environ.update(environment() | {"RAY_DISABLE_IMPORT_WARNING": "1", "RAY_worker_niceness": "0"})
    small = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": HEALTH, **small})
    nodes = [cluster.add_node(num_cpus=1, wait=False, object_store_memory=80 * 2**20) for _ in range(2)]
    out = tmp_path_factory.mktemp("ray") / "run"
    driver = subprocess.Popen(
        command(recipe, out, "--executor", "ray", "--address", str(cluster.address)),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    frozen: list[int] = []
    try:
        node, _, seen = mid_cell(out, nodes, driver)
        nodes.remove(node)
        cluster.remove_node(node, allow_graceful=False)
        nodes.append(cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20))
        node, late, held = mid_cell(out, nodes, driver, seen)
        frozen = [raylet(node), late]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        _, told = driver.communicate(timeout=PATIENCE)
        assert driver.returncode == 0, told
        yield Survived(out, lasting(out), beside(out), late, job_of(held))
    finally:
        driver.kill()
        for pid in frozen:
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)
        cluster.shutdown()


def mid_cell(out: Path, nodes: list[Any], driver: subprocess.Popen[str], seen: Path | None = None) -> Moment:
    """The first node whose worker is found training a cell that has a state to go on from, but not in `seen`."""
    by_raylet, found = {raylet(node): node for node in nodes}, list[Moment]()

    def comes() -> bool:
        assert driver.poll() is None, "the run ended before the moment came"
        for attempt in {path.parent.parent for path in out.glob("cells/.*/resume/[0-9]*")} - {seen}:
            told = json.loads((out / "state" / f"{job_of(attempt)}.json").read_text())
            if told["phase"] == "training" and is_alive(told["pid"]) and parent(told["pid"]) in by_raylet:
                found.append((by_raylet[parent(told["pid"])], told["pid"], attempt))
        return bool(found)

    wait_until(comes, "a cell in training")
    return found[0]


def beside(run: Path) -> list[Path]:
    """Remains of attempts next to complete folders."""
    return [*(path for path in run.glob("cells/.*") if path.is_dir()), *run.glob("organisms/.*")]


def job_of(attempt: Path) -> str:
    """The cell of an attempt's folder, `.CELL.ATTEMPT`."""
    return attempt.name[1:-9]


def raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])


@pytest.mark.slow
def test_with_a_node_killed_and_a_node_lost_in_a_cell_the_results_are_those_of_a_local_run(
    survived: Survived, whole: Path
) -> None:
    assert content(survived.run) == content(whole)
    weights = {name: mark for name, (_, mark) in survived.left.items() if name.endswith(".safetensors")}
    assert weights == {name: mark for name, (_, mark) in lasting(whole).items() if name.endswith(".safetensors")}


@pytest.mark.slow
def test_reversals_wait_for_the_cells_before_them(survived: Survived) -> None:
    reversals = [path.stem for path in survived.run.glob("state/*.json") if "reversal" in path.name]
    phases = [json.loads((survived.run / "state" / f"{name}.json").read_text())["phase"] for name in reversals]
    assert len(phases) == 2
    assert set(phases) <= {"done", "skipped"}


@pytest.mark.slow
def test_an_attempt_resumes_from_the_state_of_a_lost_one_and_leaves_nothing_behind(survived: Survived) -> None:
    printed = "".join(path.read_text() for path in survived.run.glob("state/*.log"))
    assert "of an earlier attempt" in printed
    assert not survived.beside


@pytest.mark.slow
def test_a_lost_attempt_that_continues_after_the_end_changes_nothing(survived: Survived) -> None:
    os.kill(survived.late, signal.SIGCONT)
    wait_until(lambda: has_ended(survived) or not is_alive(survived.late), "the end of the lost attempt")
    now = lasting(survived.run)
    if has_ended(survived):
        assert not beside(survived.run)
    else:  # Ray killed it where it was, and what it had begun may lie about
        now = {name: mark for name, mark in now.items() if not name.startswith("cells/.")}
    assert now == survived.left


def has_ended(survived: Survived) -> bool:
    told = json.loads((survived.run / "state" / f"{survived.job}.json").read_text())
    return told["pid"] == survived.late and told["phase"] in ("done", "failed")


def test_a_missing_cluster_is_reported_in_one_line(recipe: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [*command(recipe, tmp_path / "run"), "--executor", "ray", "--address", "127.0.0.1:1"],
        env=environment()
        | {"RAY_gcs_rpc_server_connect_timeout_s": "1", "RAY_gcs_server_request_timeout_seconds": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "no cluster" in done.stderr
