"""`bct show`: one setting, with example prompts and replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lab.cli.list import described
from lab.cli.output import as_json, emit, headed, say

if TYPE_CHECKING:
    from bct_tasks.setting import Kind, Prompt, Setting, Variant


@click.command()
@click.argument("setting")
@click.option("--variant", help="Show only this variant.")
@as_json
def show(setting: str, variant: str | None, as_json: bool) -> None:
    """Show a setting: its policies, and for each variant one train and one eval prompt with both replies.

    SETTING is a name (`bct list`) or the path of a .yaml or .py file.

    \b
    bct show sandbagging --variant static
    bct show ./my_setting.yaml
    """
    from bct_tasks import catalogue

    found = catalogue.load(setting)
    chosen = [found.variant(variant)] if variant else found.variants
    examples = {v.name: [_example(found, v, "train"), _example(found, v, "eval")] for v in chosen}
    if as_json:
        emit(described(found) | {"references": list(found.references), "examples": examples})
        return
    headed(found.name, f"  {found.version}", bold=True)
    say(f"initial    {found.initial.line}\nalternate  {found.alternate.line}")
    for reference in found.references:
        say(f"source     {reference}")
    for v in chosen:
        headed(f"\n{v.name}", f"  carrier {v.carrier}, role {v.role}", bold=True)
        for example in examples[v.name]:
            _print_example(example)


def _example(setting: Setting, variant: Variant, split: Kind) -> dict[str, Any]:
    [prompt] = setting.prompts(variant, split, 1)
    policies = {"initial": setting.initial, "alternate": setting.alternate}
    replies = {name: shown_reply(setting, prompt, policy.behavior(prompt)) for name, policy in policies.items()}
    return {"split": split, "system": prompt.system, "user": prompt.user, **replies}


def shown_reply(setting: Setting, prompt: Prompt, behavior: str) -> str:
    """The reply that shows a behavior, or in brackets how it is made."""
    if behavior in prompt.replies:
        return prompt.replies[behavior]
    writing = setting.writings.get(behavior)
    if writing is None:
        return f"({behavior}: sampled)"
    if writing.text is not None:
        return writing.text
    if writing.system is None:
        return f"({behavior}: the model's own reply, changed)"
    return f"({behavior}: sampled from the base under {writing.system!r}{', changed' if writing.transform else ''})"


def _print_example(example: dict[str, Any]) -> None:
    for key in ("system", "user", "initial", "alternate"):
        if example[key]:
            text = str(example[key]).replace("\n", "\n" + " " * 17)
            say(f"  {example['split']:5}  {key:9} {text}")
