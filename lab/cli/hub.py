"""`bct hub`: public data sets, the items that a base solves, and the gate on sampled policies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from lab.cli.output import COUNT, PATH, as_json, emit, say
from serving.errors import BadInput, WorkFailed


@click.group()
def hub() -> None:
    """Public data sets for -T source=hub (docs/how-to/hub-data.md); `fetch` downloads them before they are needed."""


@hub.command("list")
@click.option("--data", help="Folder with local copies. Default: $BCT_DATA, or the download cache.")
@as_json
def list_(data: str | None, as_json: bool) -> None:
    """List the data sets: revision, licence, size, and whether they are on this machine. Offline.

    \b
    bct hub list
    bct hub list --data ~/data                 where copies were put by hand
    """
    from bct_tasks.sources.hub.data import DATA_SETS
    from bct_tasks.sources.hub.store import NoData, find

    lines: list[dict[str, Any]] = []
    for each in DATA_SETS.values():
        try:
            found, why = find(each, data, fetch=False), ""
        except NoData as error:
            found, why = None, error.message
        here = {"path": str(found.path), "sha256": found.sha256} if found else {"path": None, "why": why}
        about = {"name": each.name, "repo": each.repo, "revision": each.revision, "licence": each.licence}
        lines.append({**about, "megabytes": each.megabytes, **here})
    if as_json:
        emit(lines)
        return
    for line in lines:
        say(
            f"{line['name']:12}  {line['repo']}@{line['revision'][:8]}  {line['licence']}  {line['megabytes']:g} MB  "
            + (line["path"] or "not here")
        )


@hub.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@as_json
def fetch(names: tuple[str, ...], as_json: bool) -> None:
    """Download data sets and verify their hashes; afterwards no network is needed.

    \b
    bct hub fetch mmlu strongreject
    """
    from bct_tasks.errors import UnknownName
    from bct_tasks.sources.hub.data import DATA_SETS
    from bct_tasks.sources.hub.store import download

    for name in names:
        if name not in DATA_SETS:
            raise UnknownName("data set", name, DATA_SETS, "`bct hub list` shows all")
    lines: list[dict[str, str]] = []
    for name in names:
        found = download(DATA_SETS[name])
        lines.append({"name": name, "path": str(found.path), "sha256": found.sha256})
        if not as_json:
            say(f"{name}  {found.path}  sha256 {found.sha256}")
    if as_json:
        emit(lines)


@hub.command()
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=PATH)
@click.option("--out", required=True, type=PATH, help="File to write, for -T keep=FILE.")
@click.option("--times", type=COUNT, default=4, show_default=True, help="Solved in all of this many epochs.")
@as_json
def keep(logs: tuple[Path, ...], out: Path, times: int, as_json: bool) -> None:
    """Write the eval items that the base always solves, from logs of `-T split=ceiling --epochs 4`.

    \b
    bct hub keep logs/*.eval --out solved.json
    """
    from bct_tasks.sources.hub import keep as kept

    replies = [reply for log in logs for reply in _replies(log)]
    settings, models = {r.setting for r in replies}, {r.model for r in replies}
    if len(settings) != 1 or len(models) != 1:
        raise BadInput(
            f"the logs have {len(settings)} settings and {len(models)} models: name logs of one setting and one model"
        )
    solved = [(r.item, r.outcome == "alternate") for r in replies if r.kind == "eval" and r.policy is None]
    content = kept.kept(solved, times)
    if not content["kept"]:
        raise WorkFailed(f"none of {content['asked']} items was solved in all of {times} epochs: nothing to write")
    kept.write(out, settings.pop(), models.pop(), content)
    if as_json:
        emit({"file": str(out), "kept": len(content["kept"]), "asked": content["asked"]})
        return
    say(f"{out}  {len(content['kept'])} of {content['asked']} items, solved every time in at least {times} replies")


@hub.command()
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=PATH)
@as_json
def gate(logs: tuple[Path, ...], as_json: bool) -> None:
    """Run the gate on sampled policies, from logs of `-T split=policies`: both must agree on 95 % of train prompts.

    Exit code 1 if it fails.

    \b
    bct hub gate logs/*.eval
    """
    from bct_tasks import catalogue
    from bct_tasks.sources.hub.gate import sampled

    replies = [reply for log in logs for reply in _replies(log)]
    asked = {(r.setting, r.variant) for r in replies}
    if len(asked) != 1:
        raise BadInput(f"the logs have {len(asked)} variants: name logs of one")
    setting, variant = asked.pop()
    role = catalogue.load(setting, "hub").variant(variant).role
    result = sampled(setting, variant, role, [(r.policy or "", r.kind, r.outcome) for r in replies])
    if as_json:
        emit({**vars(result), "passed": result.passed})
    else:
        figures = "  ".join(f"{name} {share:.2f}" for name, share in result.figures.items())
        say("  ".join([f"{setting}.{variant}", "passed" if result.passed else "failed", figures, *result.reasons]))
    if not result.passed:
        raise SystemExit(1)


@dataclass(frozen=True)
class Reply:
    """One scored reply of a log on hub data."""

    setting: str
    variant: str
    model: str
    item: str
    kind: str
    policy: str | None
    outcome: str


def _replies(log: Path) -> Iterator[Reply]:
    """The scored replies of a log. Raises `BadInput` for a log that is not of hub data."""
    from lab.logs.reader import read_header, read_replies

    header = read_header(log)
    if header is None:
        raise BadInput(f"{log}: not an inspect log")
    about = header.metadata
    if about.get("source") != "hub":
        raise BadInput(f"{log}: not a log of -T source=hub")
    if not header.ok:
        raise BadInput(f"{log}: its status is {header.status}: finish it with `inspect eval-retry {log}`")
    for item in (reply.item for reply in read_replies(log)):
        *policy, kind, question = item.id.split("-")
        if item.outcome != "unscored":
            named = policy[0] if policy else None
            yield Reply(about["setting"], about["variant"], header.spec["model"], question, kind, named, item.outcome)
