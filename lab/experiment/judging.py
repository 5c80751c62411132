"""The judge of a run: that it can be opened before work begins, that it answers before replies are sampled.

Its verdicts are kept in `<run>/verdicts`, so that equal replies of all cells and checkpoints are judged once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from graders.identity import BY_WEIGHTS
from lab.experiment.folder import Experiment, Folders
from lab.plan.grid import JudgeOptions
from lab.plan.judging import fingerprint
from serving import layout
from serving.errors import BadInput, WorkFailed

if TYPE_CHECKING:
    from inspect_ai.model import Model


def store(folders: Folders, judge: JudgeOptions | None) -> str | bool | None:
    """Where the verdicts of a run are kept, as the option `judge_store` of a task."""
    return (str((folders.run / "verdicts").resolve()) if judge.store else False) if judge else None


def check(experiment: Experiment) -> None:
    """Refuses judges that cannot be opened, and checkpoints of the run as its judges.

    Raises:
        BadInput: One line for the first such judge.
    """
    judges = [start.answering.judge for start in experiment.starts.values() if start.answering.judge]
    for judge in {judge.model: judge for judge in judges}.values():
        opened(judge.model)
        refuse_own(experiment, judge)


def known(experiment: Experiment) -> None:
    """Raises BadInput for a judge of a provider that inspect does not have. A dry run needs no key, and no package."""
    judges = {start.answering.judge.model for start in experiment.starts.values() if start.answering.judge}
    for model in sorted(judges):
        if model.partition("/")[0] not in BY_WEIGHTS:  # opening one may load it
            try:
                opened(model)
            except BadInput as error:
                if "not recognized" in error.message:
                    raise


def refuse_own(experiment: Experiment, judge: JudgeOptions) -> None:
    """Raises BadInput if the judge is a checkpoint of the run."""
    mark = fingerprint(judge.model)
    inside = Path(judge.model.partition("/")[2]).resolve().is_relative_to(experiment.folders.run.resolve())
    if inside or (mark is not None and mark in _evaluated(experiment)):
        raise BadInput(f"judge: {judge.model} is a checkpoint of this run: name another model")


def opened(model: str) -> Model:
    """The judge as a model of inspect.

    Raises:
        BadInput: Its provider does not exist or lacks a package, a key or an address.
    """
    from inspect_ai.model import get_model

    import serving._registry  # noqa: F401  (the provider `local` is then known without an entry point)

    try:
        return get_model(model)
    except Exception as error:  # inspect and providers raise many kinds
        lines = [line.strip() for line in re.sub(r"\[/?[a-z ]+\]", "", str(error)).splitlines()]
        raise BadInput(f"judge: {model} cannot be opened: {' '.join(filter(None, lines))[:300]}") from None


def reach(model: str) -> None:
    """Asks the judge one word.

    Raises:
        WorkFailed: It cannot be reached; another attempt at once would not help.
    """
    import anyio

    from graders import judge

    async def ask() -> None:
        await judge.reach(opened(model))

    try:
        anyio.run(ask)
    except judge.JudgeFailed as error:
        raise WorkFailed(error.message, lasting=True) from None


def _evaluated(experiment: Experiment) -> set[str]:
    """Fingerprints of the run's models that were evaluated before."""
    folders, found = experiment.folders, set[str]()
    for start in experiment.starts.values():
        found |= {str((layout.read_if_there(folders.start(start)) or {}).get("fingerprint"))}
    for cell in experiment.cells.values():
        found |= {str(entry["fingerprint"]) for entry in folders.logs_of(cell)}
    return found
