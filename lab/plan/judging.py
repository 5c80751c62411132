"""The judge of a recipe: whether it can read a setting's replies, and that it is not one of the models under test.

Not covered: whether it answers (`lab.experiment.judging`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graders.identity import BY_WEIGHTS, SERVED
from graders.judge import prompt_hash
from serving import refs
from serving.errors import BadInput

if TYPE_CHECKING:
    from bct_tasks.setting import Setting
    from lab.plan.grid import JudgeOptions


def prompt_of(judge: JudgeOptions | None, setting: Setting, model: str, organism: str | None) -> str:
    """Hash of the judge's instructions for a setting; empty without a judge.

    Args:
        judge: The judge of the recipe.
        setting: Whose replies it reads.
        model: The base.
        organism: An organism that exists.

    Raises:
        BadInput: The setting has no rubric, or the judge is the base or the organism.
    """
    if judge is None:
        return ""
    if setting.rubric is None:
        raise BadInput(f"judge: {setting.name} has no rubric, so no judge can read its replies: leave judge out")
    mark = fingerprint(judge.model)
    for ref in (model, *([organism] if organism else [])):
        if _same_name(judge.model, ref) or (mark is not None and mark == refs.resolve(ref).fingerprint):
            raise BadInput(f"judge: {judge.model} is the model under test, {ref}: name another model")
    return prompt_hash(setting.rubric)


def fingerprint(model: str) -> str | None:
    """Hash of the judge's weights, if it is a checkpoint that can be found here, or a server names one by its folder.

    Raises:
        BadInput: It is named as `local/REF`, and there is no such checkpoint.
    """
    provider, _, ref = model.partition("/")
    ref = ref.rpartition(":")[2] if provider == "vllm" else ref.partition("/")[2] if provider == SERVED else ref
    if provider not in BY_WEIGHTS and not (ref == refs.MINI or refs.is_folder(ref)):
        return None
    try:
        return refs.resolve(ref).fingerprint
    except BadInput as error:
        if provider == "local":
            raise BadInput(f"judge: {error.message}") from None
        return None


def _same_name(judge: str, ref: str) -> bool:
    """Whether a provider is asked for the same hub id, or a server of ours for the same reference."""
    provider, _, name = judge.partition("/")
    return ref.rstrip("/") in (name.rstrip("/"), name.partition("/")[2].rstrip("/") if provider == SERVED else name)
