"""`bct hub fetch` against a local server in the place of the hub: resume, hashes, login, proxy, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubServer, serving

from bct_tasks.sources.hub.data import DATA_SETS

COPIES = Path(__file__).parents[2] / "data" / "hub"
OMNI, SCHOOL, STRONGREJECT = (DATA_SETS[name] for name in ("omni_math", "school", "strongreject"))
#: No hash of `omni_math` and `strongreject` is pinned, so the small copies are accepted as these.
CONTENT = (COPIES / "omni_math.jsonl").read_bytes()


@pytest.fixture
def server() -> Iterator[HubServer]:
    with serving() as server:
        for data, file in ((OMNI, "omni_math.jsonl"), (SCHOOL, "school.csv"), (STRONGREJECT, "strongreject.csv")):
            server.files[data.repo, data.revision, data.file] = (COPIES / file).read_bytes()
        yield server


class Bct:
    """`bct` in a process whose hub and GitHub are the local server."""

    def __init__(self, folder: Path, server: HubServer) -> None:
        self.folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "BCT_"))}
        kept = {key: value for key, value in kept.items() if not key.lower().endswith("_proxy")}
        self.environment = kept | {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(folder / "hf"),
            "BCT_HUB": str(folder / "bct"),
            "PYTHONPATH": os.pathsep.join(part for part in sys.path if part),
        }
        self.start = f"from bct_tasks.sources.hub import store; store.GITHUB = {server.url!r}; import lab.cli.main as m"

    def __call__(self, *args: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, output and error output."""
        done = subprocess.run(
            [sys.executable, "-c", f"{self.start}; m.main({list(args)!r})"],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def refused(self, *args: str, **environment: str) -> str:
        """The one line of a command that fails with exit code 1."""
        code, output, error = self(*args, **environment)
        assert (code, output) == (1, "")
        assert error.count("\n") == 1, error
        return error

    @property
    def file(self) -> Path:
        (found,) = (self.folder / "hf").rglob(f"snapshots/*/{OMNI.file}")
        return found


@pytest.fixture
def bct(tmp_path: Path, server: HubServer) -> Bct:
    return Bct(tmp_path, server)


def test_a_download_is_recorded_and_needs_no_network_afterwards(bct: Bct, server: HubServer) -> None:
    code, output, _ = bct("hub", "fetch", "omni_math", "strongreject")
    assert code == 0
    assert bct.file.read_bytes() == CONTENT
    record = json.loads((bct.folder / "bct" / "lock.json").read_text())
    assert {key.partition("@")[0]: entry["licence"] for key, entry in record.items()} == {
        OMNI.repo: "Apache-2.0",
        STRONGREJECT.repo: "MIT",
    }
    assert all(entry["sha256"] in output for entry in record.values())
    server.forget()
    assert bct("hub", "fetch", "omni_math", "strongreject")[1] == output
    assert bct("hub", "fetch", "omni_math", "strongreject", HF_HUB_OFFLINE="1")[1] == output
    assert (server.asked, server.polled) == ([], 0)


def test_a_cut_connection_is_resumed_where_it_broke(bct: Bct, server: HubServer) -> None:
    bct.start += "; from huggingface_hub import constants; constants.DOWNLOAD_CHUNK_SIZE = 256"
    server.cut_after = 700
    code, _, _ = bct("hub", "fetch", "omni_math")
    assert code == 0
    assert server.said("GET") == [None, "bytes=512-"]
    assert bct.file.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["omni_math", "strongreject"])
def test_fetch_replaces_a_damaged_file_and_other_commands_refuse_it(name: str, bct: Bct, server: HubServer) -> None:
    bct("hub", "fetch", name)
    (path,) = (p for p in bct.folder.rglob(f"*{Path(DATA_SETS[name].file).name}"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    (line,) = (each for each in json.loads(bct("hub", "list", "--json")[1]) if each["name"] == name)
    assert f"download it again with `bct hub fetch {name}`" in line["why"]
    assert bct("hub", "fetch", name)[0] == 0
    assert path.read_bytes() == whole
    assert len(server.said("GET")) == 2


def test_a_file_with_another_hash_than_the_pinned_one_is_refused(bct: Bct) -> None:
    error = bct.refused("hub", "fetch", "school")
    assert "school-of-reward-hacks.csv: its SHA-256 is " in error
    assert f"not {SCHOOL.sha256[:16]}" in error  # type: ignore[index]
    assert "-T data=DIR" in error


@pytest.mark.parametrize("name", ["omni_math", "strongreject"])
def test_offline_without_a_copy_is_one_line_and_asks_nobody(name: str, bct: Bct, server: HubServer) -> None:
    error = bct.refused("hub", "fetch", name, HF_HUB_OFFLINE="1")
    assert f"{name}: not on this machine, and HF_HUB_OFFLINE is set: unset it and run `bct hub fetch {name}`" in error
    assert (server.asked, server.polled) == ([], 0)


@pytest.mark.parametrize("name", ["omni_math", "strongreject"])
def test_a_missing_revision_is_one_line_that_names_the_commit(name: str, bct: Bct, server: HubServer) -> None:
    data = DATA_SETS[name]
    server.files = {(data.repo, "0" * 40, data.file): b""}
    error = bct.refused("hub", "fetch", name)
    assert f"{data.page} has no {data.file} at commit {data.revision[:8]}" in error


def test_a_gated_data_set_is_downloaded_with_the_token_alone(bct: Bct, server: HubServer) -> None:
    server.token = "hf_stand_in"
    assert "needs a login: use `hf auth login`" in bct.refused("hub", "fetch", "omni_math")
    assert bct("hub", "fetch", "omni_math", HF_TOKEN=server.token)[0] == 0


def test_github_is_not_shown_the_token_of_the_hub(bct: Bct, server: HubServer) -> None:
    assert bct("hub", "fetch", "strongreject", HF_TOKEN="hf_stand_in")[0] == 0
    assert [login for *_, login in server.asked] == [None]


def test_the_proxy_is_used(bct: Bct, server: HubServer) -> None:
    code, _, error = bct("hub", "fetch", "omni_math", HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=server.url)
    assert code == 0, error
    assert len(server.said("GET")) == 1


def test_list_asks_nobody(bct: Bct, server: HubServer) -> None:
    code, output, _ = bct("hub", "list", HF_TOKEN="hf_stand_in")
    assert (code, output.count("not here")) == (0, len(DATA_SETS))
    assert (server.asked, server.polled) == ([], 0)
