"""`bct new`: a setting that is valid before anything is edited, and names that cannot be taken."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import bct_tasks._registry as registry
from bct_tasks import catalogue, settings
from bct_tasks.gate import check
from bct_tasks.setting import Setting
from lab.cli.main import main
from trainer.config import OrganismConfig, TrainConfig


def new(name: str, folder: Path, *more: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["new", name, "--dir", str(folder), *more])
    return done.exit_code, done.output


def written(path: Path) -> Setting:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SETTING


def test_the_template_passes_the_static_gate_in_every_variant(tmp_path: Path) -> None:
    code, output = new("my_setting", tmp_path)
    assert code == 0
    assert "bct check my_setting" in output
    setting = written(tmp_path / "my_setting.py")
    assert setting.name == "my_setting"
    assert len(setting.variants) > 1
    assert [check(setting, variant).reasons for variant in setting.variants] == [()] * len(setting.variants)


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose settings the catalogue lists."""
    monkeypatch.setattr(settings, "__path__", [*settings.__path__, str(tmp_path)])
    yield tmp_path
    catalogue.names.cache_clear()


def test_the_template_is_a_setting_to_the_catalogue_and_keeps_to_the_line_length(listed: Path) -> None:
    new("a_setting_with_a_name_of_forty_characters", listed)
    new("my_setting", listed)
    catalogue.names.cache_clear()
    for path in listed.glob("*.py"):
        assert path.stem in catalogue.names()
        assert max(map(len, path.read_text().splitlines())) <= 120


@pytest.mark.parametrize("name", ["Sandbagging", "two words", "9lives", "class", "a-b", "../up", "", "x" * 41])
def test_a_name_that_is_no_module_name_is_refused(name: str, tmp_path: Path) -> None:
    code, output = new(name, tmp_path)
    assert code == 2
    assert "is not a name for a setting" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["sandbagging", "capability", "task", "sources", "outcome"])
def test_a_name_that_is_taken_is_refused(name: str, tmp_path: Path) -> None:
    code, output = new(name, tmp_path)
    assert code == 2
    assert "choose another name" in output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("like", catalogue.names())
def test_a_copy_of_a_setting_differs_from_it_in_its_names_alone(like: str, tmp_path: Path) -> None:
    code, output = new("my_copy", tmp_path, "--like", like)
    assert code == 0, output
    before = Path(str(catalogue.file_of(like))).read_text(encoding="utf-8").splitlines()
    after = (tmp_path / "my_copy.py").read_text(encoding="utf-8").splitlines()
    changed = [(a.strip(), b.strip()) for a, b in zip(before, after, strict=True) if a != b]
    assert (f'name="{like}",', 'name="my_copy",') in changed
    assert any(b.startswith("def my_copy(") for _, b in changed)
    assert all(b.startswith(("name=", "def my_copy(", 'version="1-A"')) for _, b in changed)


def test_a_copy_of_a_setting_passes_the_static_gate_under_its_own_name(tmp_path: Path) -> None:
    new("my_copy", tmp_path, "--like", "yes_no")
    setting = written(tmp_path / "my_copy.py")
    assert (setting.name, setting.version) == ("my_copy", "1-A")
    assert [check(setting, variant).reasons for variant in setting.variants] == [()] * len(setting.variants)


def test_a_copy_of_nothing_is_refused(tmp_path: Path) -> None:
    code, output = new("my_copy", tmp_path, "--like", "sandbaging")
    assert code == 2
    assert "Did you mean 'sandbagging'" in output
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("precious")
    code, output = new("mine", tmp_path)
    assert code == 2
    assert "exists already" in output
    assert (tmp_path / "mine.py").read_text() == "precious"


def test_inspect_finds_every_setting_without_a_list_of_them() -> None:
    assert {setting.name for setting in registry.SETTINGS} == set(catalogue.names())


@pytest.mark.parametrize(("form", "file"), [("--yaml", "mine.yaml"), ("--python", "mine.py")])
def test_files_of_ones_own_pass_the_gate_at_once_and_are_shown_by_path(form: str, file: str, tmp_path: Path) -> None:
    code, output = new("mine", tmp_path, form)
    assert code == 0, output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.jsonl", file]
    path = str(tmp_path / file)
    assert f"bct check {path}" in output
    checked = CliRunner().invoke(main, ["check", path])
    assert checked.exit_code == 0, checked.output
    assert "2 of 2 variants passed" in checked.output
    assert "eval prompts: a rate is known to within ±0.13 (95 %)" in checked.output
    shown = CliRunner().invoke(main, ["show", path])
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("[quiz] ") >= 2
    code, output = new("mine", tmp_path, form)
    assert (code, "exists already" in output) == (2, True)


def test_a_file_of_ones_own_that_is_wrong_is_a_failed_check_with_its_line(tmp_path: Path) -> None:
    new("mine", tmp_path, "--yaml")
    path = tmp_path / "mine.yaml"
    path.write_text(path.read_text().replace("max_tokens: 96", "max_token: 96"))
    line = path.read_text().splitlines().index("max_token: 96") + 1
    done = CliRunner().invoke(main, ["check", str(path)])
    assert done.exit_code == 2
    assert done.output.strip().endswith(f"mine.yaml, line {line}: unknown key 'max_token'. Did you mean 'max_tokens'?")


def test_the_identity_of_a_run_holds_the_name_and_the_content_of_a_file_and_never_its_place(tmp_path: Path) -> None:
    for place in ("here", "there"):
        new("mine", tmp_path / place, "--yaml")
    one, other = (TrainConfig(setting=str(tmp_path / place / "mine.yaml")) for place in ("here", "there"))
    assert one.identity() == other.identity()
    assert str(tmp_path) not in str(one.identity())
    assert one.identity()["setting"] == "mine"
    organisms = [OrganismConfig(setting=config.setting).identity() for config in (one, other)]
    assert organisms[0] == organisms[1]
    data = tmp_path / "there" / "mine.jsonl"
    data.write_text("\n".join(data.read_text().splitlines()[1:]))
    assert one.identity() != TrainConfig(setting=other.setting).identity()
