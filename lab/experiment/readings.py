"""Further readings of a run's replies: the stored replies read again by another grader, next to the first reading.

    bct report runs/x --regrade by-gpt5 --judge openai/gpt-5 --mode cascade

A reading has a name. Its logs are `<logs>/<cell>/<step>.<name>.eval`, copies of the run's logs with other scores, and
`<run>/readings/<name>.json`, written last, says what read them and which log belongs to which. The logs of the run are
not changed. Not covered: margins, which no grader reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graders.judge import JudgeFailed, prompt_hash
from lab.experiment import intact, judging, stored
from lab.experiment.folder import Experiment, Folders
from lab.logs.reader import SCORE, newest, read_header
from lab.logs.records import PATTERN
from lab.plan.cells import Start
from lab.plan.grid import JudgeOptions
from lab.plan.judging import prompt_of
from serving import layout
from serving.errors import BadInput, WorkFailed

if TYPE_CHECKING:
    from inspect_ai.log import EvalSample
    from inspect_ai.scorer import Score

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")


@dataclass(frozen=True)
class Reread:
    """A further reading: what read the replies (None: the settings' readers), and its log for each log of the run."""

    name: str
    by: JudgeOptions | None
    logs: Mapping[str, str]

    def text(self) -> str:
        """What read the replies, in words."""
        return f"judge {self.by.model} (mode {self.by.mode})" if self.by else PATTERN

    def judge(self, start: Start) -> dict[str, Any]:
        """The judge as results.json shows it; empty for the setting's reader."""
        rubric = start.questions.load().rubric
        if self.by is None or rubric is None:
            return {}
        return {**self.by.model_dump(mode="json", exclude={"store"}), "prompt": prompt_hash(rubric)}

    def is_in(self, log: Path, source: Path) -> bool:
        """Whether a log is this reading of a log of the run."""
        header = read_header(log)
        return header is not None and (header.metadata.get("reading") or {}).get("of") == _mark(newest(source))["of"]

    def covers(self, logs: Iterable[str]) -> bool:
        """Whether it has read all these logs of the run."""
        return all(log in self.logs for log in logs)


def of(folders: Folders) -> list[Reread]:
    """The complete readings of a run."""
    files = sorted((folders.run / "readings").glob("*.json"))
    return [_from(path.stem, stored.read(path, stored.Reading)) for path in files]


def regrade(experiment: Experiment, name: str, by: JudgeOptions | None) -> Reread:
    """Reads the stored replies of all finished parts of a run again. Logs that are read already are not read twice.

    Raises:
        BadInput: The name is taken by another grader, a setting has no rubric, or the judge is a model under test.
        WorkFailed: The judge cannot be asked. What it read is kept.
    """
    if not NAME.fullmatch(name):
        raise BadInput(f"--regrade {name}: a name of a reading has small letters, digits, - and _")
    if by is not None:
        for start in experiment.starts.values():
            prompt_of(by, start.questions.load(), start.model, start.ref)
        judging.refuse_own(experiment, by)
    intact.check(experiment)
    file = experiment.folders.run / "readings" / f"{name}.json"
    known = layout.read_if_there(file)
    if known is not None and _from(name, known).by != by:
        raise BadInput(f"--regrade {name}: that is the reading by {_from(name, known).text()}: choose another name")
    logs = {log: _again(experiment.folders, log, name, by) for log in _logs(experiment)}
    content = {"judge": by.model_dump(mode="json") if by else None, "logs": logs}
    layout.write_json_atomic(file, content)
    return _from(name, content)


def _from(name: str, content: Mapping[str, Any]) -> Reread:
    judge = content["judge"]
    return Reread(name, JudgeOptions.model_validate(judge) if judge else None, dict(content["logs"]))


def _logs(experiment: Experiment) -> list[str]:
    """All logs of finished starts and cells, from the run folder, each once."""
    folders, found = experiment.folders, dict[str, None]()
    for start in experiment.starts.values():
        if folders.start_is_done(start):
            found |= dict.fromkeys(layout.read_json(folders.start(start))["logs"].values())
    for cell in experiment.cells.values():
        found |= dict.fromkeys(entry["log"] for entry in folders.logs_of(cell))
    return list(found)


def _again(folders: Folders, log: str, name: str, by: JudgeOptions | None) -> str:
    """The path of a log's further reading, which is made unless it is there."""
    source = newest(folders.absolute(log))
    target = folders.absolute(log).with_suffix(f".{name}.eval")
    wanted = {"name": name, "judge": by.model_dump(mode="json", exclude={"store", "max_unscored"}) if by else None}
    header = read_header(target)
    if header is None or not header.ok or header.metadata.get("reading") != wanted | _mark(source):
        _score(source, target, wanted | _mark(source), by, judging.store(folders, by))
    return folders.relative(target)


def _mark(log: Path) -> dict[str, Any]:
    """What identifies the replies of a log."""
    header = read_header(log)
    return {"of": str(header.spec.get("eval_id")) if header else None}


def _score(source: Path, target: Path, reading: dict[str, Any], by: JudgeOptions | None, store: Any) -> None:
    from inspect_ai import score
    from inspect_ai.log import read_eval_log, write_eval_log
    from inspect_ai.model import get_model

    from bct_tasks.task import outcome

    roles: dict[str, Any] | None = {"grader": judging.opened(by.model)} if by else None
    log = read_eval_log(str(source))
    kept = {sample.uuid: _others(sample) for sample in log.samples or []}
    log.eval = log.eval.model_copy(update={"model_roles": None})  # the first judge may be gone
    # No model answers here. One without weights stands in for the model under test, which may be gone.
    try:
        scored = score(
            log, outcome(by.mode if by else "off", store), model=get_model("mockllm/model"), model_roles=roles,
            action="overwrite", display="none",
        )  # fmt: skip
    except JudgeFailed as error:
        raise WorkFailed(error.message) from None
    for sample in scored.samples or []:
        sample.scores = {**kept[sample.uuid], **(sample.scores or {})}
    scored.eval.metadata = {**(scored.eval.metadata or {}), "reading": reading}
    part = target.with_name(f".{target.name}")
    write_eval_log(scored, str(part))
    part.replace(target)


def _others(sample: EvalSample) -> dict[str, Score]:
    """The scores of a reply that are not our outcome, such as margins."""
    return {name: score for name, score in (sample.scores or {}).items() if not SCORE.match(name)}
