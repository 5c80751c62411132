"""The Python API: load a run, or run a recipe, and work with its results. Re-exported by `lab`.

    run = load("runs/quickstart")
    run.checkpoints().query("split == 'eval'")

Nothing here prints unless requested, and every error is a plain exception. Not covered: training one cell
(`trainer.cell.train`), and a single evaluation (`inspect eval bct_tasks/...`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from serving.errors import BadInput, WorkFailed, did_you_mean

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from rich.console import Console

    from lab.experiment.driver import How
    from lab.experiment.folder import Experiment
    from lab.report.figures.picture import Picture
    from lab.stats.mixed import Mixed
    from lab.verdict.schema import Conclusion, Results

#: Columns of `Run.cells`.
CELL_COLUMNS = ("setting", "variant", "role", "carrier", "method", "model", "organism", "rank", "batch", "label_source")


@dataclass(frozen=True, repr=False)
class Run:
    """A run folder and its results.

    Attributes:
        experiment: The recipe and the folders of the run.
        collected: Results that were collected already, so that the logs are not read again.
        stale: Why the recipe cannot be read as the run began it, in one line; the results are then the stored ones.
    """

    experiment: Experiment
    collected: Results | None = field(default=None, compare=False)
    stale: str = ""

    def __repr__(self) -> str:
        if self.stale:
            return f"<Run {self.folder}: {len(self.results.cells)} stored cells>"
        cells = self.experiment.cells
        done = sum(self.experiment.is_done(id) for id in cells)
        return f"<Run {self.folder}: {done} of {len(cells)} cells finished>"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.experiment.folders.run

    @property
    def logs(self) -> Path:
        """The folder of inspect's logs."""
        return self.experiment.folders.logs

    @cached_property
    def results(self) -> Results:
        """The content of results.json: a frozen pydantic model, `lab.verdict.schema.Results`."""
        from lab.experiment.collect import collect

        return self.collected or collect(self.experiment)

    def cells(self) -> pd.DataFrame:
        """One row per cell: what it was trained with, and its verdict.

        Returns:
            Columns `id`, `CELL_COLUMNS`, `lr`, `seed`, `steps`, `step0_loss` (training loss before the first step, in
            nats per token), `name` (of the verdict), `flags` (a tuple), `damage` (intact, not_shown or damaged),
            `flat_state` (flat, moving or not_shown), `flat_change`, `flat_lo` and `flat_hi` (the change of the initial
            rate over the last window, and its interval) and `failure` (None where it finished), and one column per
            factor. What is unknown of a cell is missing.
        """
        import pandas as pd

        from lab.verdict.table import flat_columns

        rows: list[dict[str, Any]] = []
        for cell in self.results.cells:
            row = {name: getattr(cell, name) for name in ("id", *CELL_COLUMNS, "lr", "seed", "steps", "step0_loss")}
            row |= {"name": cell.verdict.name, "flags": cell.verdict.flags, "damage": cell.verdict.damage}
            rows.append(row | flat_columns(cell) | {"failure": cell.failure, **cell.factors})
        return pd.DataFrame(rows)

    def checkpoints(self) -> pd.DataFrame:
        """One row per checkpoint: rates with intervals, names, flags, damage, as `bct table --per checkpoint`."""
        return self._table("checkpoint")

    def samples(self) -> pd.DataFrame:
        """One row per reply: prompt id, split, outcome and what the checkpoint was trained with, as `bct table`.

        A run evaluates step 0 once per organism, so its replies appear under each of its cells.
        """
        return self._table("sample")

    def contrasts(self) -> pd.DataFrame:
        """The contrasts that the recipe names (`compare`): one row each, second level - first level.

        Returns:
            Columns `factor`, `first`, `second`, the fields that both sides have in common, `first_seeds`,
            `second_seeds`, for the rates `initial` and `alternate` the columns `RATE_first`, `RATE_second`, `RATE`
            (the difference), `RATE_lo`, `RATE_hi`, `RATE_equivalent_within` and `RATE_n`, and `sentence`.
        """
        import pandas as pd

        from lab.verdict.contrasts import rows

        return pd.DataFrame(rows(self.results.contrasts))

    def verdict(self, setting: str, variant: str | None = None, **factors: object) -> ArmVerdict:
        """The conclusion about one arm.

        Args:
            setting: Name of the setting.
            variant: Name of the variant; may be left out if the run has one.
            factors: Fields that distinguish arms: `method`, `model`, `rank`, `batch`, `label_source`, or a factor.

        Raises:
            BadInput: No arm, or more than one, matches.
        """
        chosen = self._arms(setting, variant, factors)
        if len(chosen) > 1:
            names = "; ".join(conclusion.arm for conclusion in chosen)
            raise BadInput(f"{len(chosen)} arms match: {names}. Add variant=, method= or another factor.")
        [conclusion] = chosen
        return ArmVerdict(conclusion, self._of(conclusion))

    def mixed(
        self,
        setting: str,
        variant: str | None = None,
        *,
        by: str | None = None,
        outcome: str = "initial",
        **factors: object,
    ) -> Mixed:
        """Fits a mixed model to the eval replies of the last checkpoints: fixed arms, random runs, templates, families.

        For one mean or one difference, the intervals of `results.groups` and of `lab.stats.two_way` assume less; see
        `lab.stats.mixed` for the limits.

        Args:
            setting: Name of the setting.
            variant: Name of the variant; all by default.
            by: What distinguishes arms: `variant`, `lr`, `method` or another column of `cells`; None: one mean.
            outcome: `initial`, `alternate`, `other` or `degenerate`.
            factors: Values of columns of `cells` that the replies are limited to, such as `lr=1e-3`.

        Returns:
            Data frames `means` and `differences` (from the first arm), and `spread`: standard deviations by source.

        Raises:
            BadInput: No reply matches, `by` is no column, or an arm has fewer than two runs.
        """
        from lab.stats.mixed import mixed

        cells: Any = self.cells()
        asked = {"setting": setting, **({"variant": variant} if variant else {}), **factors}
        if unknown := [name for name in (*asked, *([by] if by else [])) if name not in cells]:
            raise BadInput(f"'{unknown[0]}' is no column of cells.{did_you_mean(unknown[0], cells)}")
        for name, value in asked.items():
            cells = cells[cells[name] == value]
        try:
            return mixed(self._last_replies(cells, outcome), by)
        except ValueError as error:
            raise BadInput(str(error)) from None

    def plot(
        self,
        kind: str = "curves",
        *,
        setting: str | None = None,
        variant: str | None = None,
        lr: float | None = None,
        **factors: object,
    ) -> Figure:
        """Draws one figure.

        Args:
            kind: Rates over steps (`curves`), initial rate by learning rate and step (`heat`), by the
                product of both (`product`), by seed (`seeds`), on both halves of the eval items (`halves`), capability
                against the initial rate (`trade`), all arms (`overview`), robustness of an organism (`robustness`), the
                recipe's contrasts (`contrasts`), the spread by kind of seed (`variances`).
            setting: Setting of the arm; may be left out where the run has one arm.
            variant: Variant of the arm.
            lr: Learning rate, for `curves` and `overview`; by default all curves side by side, and the first overview.
            factors: Fields that distinguish arms, as in `verdict`.

        Returns:
            A matplotlib figure with title, axis names and legend: `fig.savefig("curves.pdf", bbox_inches="tight")`.

        Raises:
            BadInput: Unknown kind, no arm or more than one matches, or the arm has no such figure.
        """
        from lab.report.figures.gallery import every, kind_of

        pictures = every(self.results, kind_of(kind))
        if any(picture.conclusion for picture in pictures):
            wanted = self.verdict(setting, variant, **factors).conclusion if setting else self._only_arm()
            pictures = [picture for picture in pictures if picture.conclusion == wanted]
        return _draw(pictures, kind, lr)

    def report(self, path: str | Path) -> Path:
        """Writes the report: one HTML file that needs no other. Links to logs hold in the run folder only."""
        from lab.report.html import write_report

        write_report(self.results, Path(path))
        return Path(path)

    def rebuild(self, *, bundle: bool = False) -> Run:
        """Writes results.json and report.html of the run folder from its logs; nothing is evaluated again.

        Where the recipe cannot be read as the run began it (`stale`), results.json stays as it is.

        Args:
            bundle: Also write inspect's log viewer; the report's points then open logs in it.
        """
        from lab.experiment import collect
        from lab.report.html import write_report
        from lab.report.replies import write_pages
        from lab.report.viewer import write_viewer

        folders = self.experiment.folders
        results = self.results if self.stale else collect.write(self.experiment)
        viewer = write_viewer(folders.run, folders.logs, folders.relative(folders.logs)) if bundle else None
        pages = write_pages(results, folders.run, folders.absolute)
        write_report(results, folders.run / "report.html", viewer, pages)
        return Run(self.experiment, results, self.stale)

    def verify(self) -> tuple[str, ...]:
        """Reads every file of the finished parts, weights included. Returns what is not as it was written, by line."""
        from lab.experiment.intact import problems

        self._refuse_stale()
        return tuple(found.what for found in problems(self.experiment, full=True))

    def check(self) -> None:
        """Raises BadInput if a file that counts is not as the run wrote it, by size and time of change."""
        from lab.experiment.intact import check

        check(self.experiment)

    def regrade(self, name: str, judge: str | None = None, mode: str = "cascade") -> Run:
        """Reads the stored replies again; results have the reading under its name, next to the first one.

        Args:
            name: Of the reading: small letters, digits, - and _.
            judge: A model of inspect that reads the replies; None: the settings' own readers as they are now.
            mode: `cascade` (the judge reads what the setting's reader cannot) or `only`.

        Raises:
            BadInput: The name is taken by another grader, a setting has no rubric, or the judge is under test.
            WorkFailed: The judge cannot be asked; what it read is kept.
        """
        from lab.experiment.readings import regrade
        from lab.plan.grid import JudgeOptions

        self._refuse_stale()
        by = JudgeOptions.model_validate({"model": judge, "mode": mode}) if judge else None
        regrade(self.experiment, name, by)
        return Run(self.experiment)

    def _last_replies(self, cells: Any, outcome: str) -> pd.DataFrame:
        """The scored eval replies of the last checkpoints of some cells, with the columns of the cells."""
        ends = {c.id: c.checkpoints[-1].step for c in self.results.cells if c.checkpoints}
        found: Any = self.samples().merge(
            cells.set_index("id"), left_on="cell", right_index=True, suffixes=("", "_of_cell")
        )
        found = found[(found["split"] == "eval") & (found["outcome"] != "unscored")]
        found = found[found["step"] == found["cell"].map(ends)]
        if found.empty:
            raise BadInput(
                f"no eval reply matches. This run has: {'; '.join(c.arm for c in self.results.conclusions)}."
            )
        hits = (found["outcome"] == outcome).astype(float)
        return found.assign(outcome=hits, run=found["cell"], family=found["family"].fillna("")).reset_index(drop=True)

    def _table(self, per: Literal["sample", "checkpoint"]) -> pd.DataFrame:
        from lab.experiment.table import table
        from lab.verdict.table import result_table

        if self.stale and per == "checkpoint":
            return result_table(self.results)
        self._refuse_stale()
        found, _ = table(self.folder, per)
        return found

    def _refuse_stale(self) -> None:
        if self.stale:
            raise BadInput(self.stale)

    def _of(self, conclusion: Conclusion) -> pd.DataFrame:
        from lab.verdict.arms import arms

        ids = next([cell.id for cell in cells] for found, cells in arms(self.results) if found == conclusion)
        every = self.cells()
        return every.loc[every["id"].isin(ids)].reset_index(drop=True)

    def _only_arm(self) -> Conclusion:
        found = self.results.conclusions
        if len(found) != 1:
            raise BadInput(f"the run has {len(found)} arms: name one with setting= and variant=")
        return found[0]

    def _arms(self, setting: str, variant: str | None, factors: dict[str, object]) -> Sequence[Conclusion]:
        asked = {"setting": setting, **({"variant": variant} if variant else {}), **factors}
        found = [c for c in self.results.conclusions if all(_field(c, k) == v for k, v in asked.items())]
        if not found:
            known = "; ".join(c.arm for c in self.results.conclusions)
            told = ", ".join(f"{name}={value!r}" for name, value in asked.items())
            raise BadInput(f"no arm has {told}. This run has: {known or 'no arms'}.")
        return found


@dataclass(frozen=True)
class ArmVerdict:
    """The conclusion about one arm.

    Attributes:
        conclusion: The arm's entry of results.json.
        cells: Its cells, one row each, as `Run.cells`.
    """

    conclusion: Conclusion
    cells: pd.DataFrame

    @property
    def sentence(self) -> str:
        """The conclusion in words."""
        return f"{self.conclusion.arm}: {self.conclusion.sentence}"

    @property
    def names(self) -> tuple[str | None, ...]:
        """The name of each cell: retained, transferred, removed, ...; None for controls and probes."""
        return tuple(self.cells["name"])


def load(run: str | Path) -> Run:
    """Opens the folder of a run, finished or not.

    Where a setting, a model or a file that the recipe names is not there any more, or a setting has changed, the run
    has its stored results, and `stale` says why.

    Raises:
        BadInput: The folder does not exist or is not a run, or it has no stored results and cannot be read again.
    """
    from bct_tasks.errors import SettingError
    from lab.experiment.folder import check_settings, open_run

    try:
        found = open_run(Path(run))
        check_settings(found)
        return Run(found)
    except (BadInput, SettingError) as error:
        if not (Path(run) / "run.json").is_file() or not (Path(run) / "results.json").is_file():
            raise
        return _stored(Path(run), error.message)


def _stored(run: Path, reason: str) -> Run:
    """A run with the results that it has stored, and a line that says so among the deviations."""
    from lab.experiment.folder import open_stored
    from lab.verdict.results import read_results

    results = read_results(run / "results.json")
    line = f"shown as stored, not read again from the logs: {reason}"
    return Run(open_stored(run), results.model_copy(update={"deviations": (*results.deviations, line)}), reason)


def run(
    recipe: str | Path,
    out: str | Path | None = None,
    *,
    jobs: int | None = None,
    executor: Literal["local", "inline", "ray"] = "local",
    address: str | None = None,
    shard: str | None = None,
    force: bool = False,
    progress: bool = False,
) -> Run:
    """Runs a recipe, or resumes it: organisms, training, evaluation, results.json and report.html.

    Args:
        recipe: YAML file.
        out: Run folder; by default `runs/<name>`, with logs in `logs/<name>`.
        jobs: Worker processes; by default one per GPU, else one per core.
        executor: Where jobs run: `local`, processes of this machine; `inline`, this process; `ray`, a Ray cluster.
        address: Address of the Ray cluster.
        shard: Only a part of the cells, `I/N`, next to other drivers in the folder. The last of them writes the report.
        force: Also train cells whose gate fails; they are marked invalid.
        progress: Print progress to stderr.

    Raises:
        BadInput: The recipe is wrong, its gate fails without `force`, or another process runs it.
        WorkFailed: Jobs failed. What finished is in the run folder: open it with `load`.
    """
    from lab.experiment.driver import How
    from lab.experiment.shard import Shard
    from serving.terminal import terminal

    found = experiment(recipe, out)
    console = terminal(stderr=True, quiet=not progress)
    how = How(executor, jobs, address, shard=Shard.parse(shard) if shard else None)
    finished, failed = execute(found, how, force, console)
    if failed:
        job, error = next(iter(failed.items()))
        raise WorkFailed(f"{len(failed)} jobs failed, the first one, {job}: {error}")
    return finished


def experiment(recipe: str | Path, out: str | Path | None = None) -> Experiment:
    """A recipe and the folders it will run in. Creates nothing. Raises BadInput where the recipe is wrong."""
    from lab.experiment.folder import Experiment, default
    from lab.plan import recipe as recipes

    loaded = recipes.load(Path(recipe))
    return Experiment(loaded, default(loaded.name, None if out is None else Path(out)))


def execute(found: Experiment, how: How, force: bool, console: Console) -> tuple[Run, dict[str, str]]:
    """Runs the remaining jobs of an experiment, and writes the report. Returns the run and the jobs' errors.

    While drivers of other shards are at work there is no report yet, and the run has no results that were collected.
    """
    from lab.experiment import driver
    from lab.report.html import write_report
    from lab.report.replies import write_pages

    results, failed = driver.run(found, how, force, console)
    if results is None:
        return Run(found), failed
    pages = write_pages(results, found.folders.run, found.folders.absolute)
    write_report(results, found.folders.run / "report.html", pages=pages)
    return Run(found, results), failed


def _field(conclusion: Conclusion, name: str) -> Any:
    return getattr(conclusion, name) if hasattr(conclusion, name) else conclusion.factors.get(name)


def _draw(pictures: list[Picture], kind: str, lr: float | None) -> Figure:
    from lab.report.figures.gallery import kind_of
    from lab.report.figures.paper import drawn_for_paper

    if lr is not None:
        pictures = [picture for picture in pictures if picture.lr is not None and isclose(picture.lr, lr)]
    if not pictures:
        raise BadInput(f"no figure '{kind}'{f' at learning rate {lr:g}' if lr is not None else ' of this arm'}")
    return drawn_for_paper(pictures[0], kind_of(kind))
