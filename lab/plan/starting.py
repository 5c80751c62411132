"""The start of a grid's cells: the organism, its base, how both answer, and how many prompts they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bct_tasks import following
from lab.plan import judging
from lab.plan.cells import TRL, Answering, Questions, Sizes, Start
from lab.plan.grid import Grid, ServingOptions
from lab.plan.identity import prompts_hash
from lab.plan.models import fingerprint, resolved, short_name
from serving import remote
from serving.errors import BadInput
from trainer.config import OrganismConfig, parse
from trainer.identity import sha

if TYPE_CHECKING:
    from bct_tasks.setting import Setting, Variant

# Questions under unrelated system prompts, if a recipe gives no number.
FOLLOWING = 30


def start_of(grid: Grid, name: str, variant_name: str, seed: int | None = None) -> Start:
    """The start of a setting and variant. `seed`: of the organism, where the recipe asks for several."""
    capability = grid.capability.keys() or {}
    questions = Questions(name, grid.source, tuple(sorted(grid.data.items())), tuple(sorted(capability.items())))
    setting = questions.load()
    variant, model = setting.variant(variant_name), _base(grid)
    organism = None
    if variant.in_weights and grid.organism.ref is None and not remote.is_address(model):
        _refuse_trained(model)
        options = of_model(grid, questions) | _same_rank(grid)
        options |= grid.organism.model_dump(exclude_none=True, exclude={"seeds"})
        options |= {} if seed is None else {"seed": seed}
        organism = parse(OrganismConfig, {"variant": variant.name, "model": model, **options}, "organism")
    wanted = {"eval": grid.n, "train": grid.n_train, "capability": grid.n_capability}
    found = {split: setting.most(split, n) for split, n in wanted.items()}
    short = tuple(
        f"{setting.name}, {variant.name}: {found[split]} {split} prompts exist, and the recipe asks for {n}"
        for split, n in wanted.items()
        if found[split] < n
    )
    sizes = Sizes(found["eval"], found["train"], found["capability"], _n_following(grid, setting, variant))
    dtype = "auto" if grid.model.dtype == "4bit" else grid.model.dtype
    prompt = judging.prompt_of(grid.judge, setting, model, grid.organism.ref)
    answering = Answering(_template(grid), dtype, grid.generation, grid.judge, prompt, _serving(grid))
    known = {
        "organism": organism.identity() if organism else None,
        "model": fingerprint(model, key="organism.base" if grid.organism.base else "model"),
        "sizes": asdict(sizes),
        "prompts": prompts_hash(questions, variant.name, sizes),
    }
    known |= {"answering": answering.content()} if answering.content() else {}
    known |= {"capability": setting.capability.about} if setting.capability and _names_data(grid) else {}
    known |= {"ref": fingerprint(grid.organism.ref, model, "organism")} if grid.organism.ref else {}
    id = f"start.{setting.name}.{variant.name}.{short_name(model)}.{sha(known)[:8]}"
    return Start(
        id,
        setting.name,
        variant.name,
        variant.role,
        variant.carrier,
        model,
        organism,
        sizes,
        grid.gate,
        questions,
        answering,
        grid.organism.ref,
        grid.margins,
        grid.resources,
        short,
        pooled=seed is not None,
    )


def of_model(grid: Grid, questions: Questions) -> dict[str, Any]:
    """Fields of a configuration that cells and organisms share, where the recipe gives them."""
    given = {
        "chat_template_kwargs": dict(_template(grid)) or None,
        "dtype": grid.dtype or (None if grid.model.dtype == "auto" else grid.model.dtype),
        "reply_tokens": grid.labels.max_tokens,
        "label_temperature": grid.labels.temperature,
        "data": dict(questions.options) or None,
        "generation": grid.generation.model_dump(exclude={"epochs"}, exclude_none=True) or None,
        "backend": None if grid.training.backend == TRL else grid.training.backend,
        "backend_options": dict(grid.training.options) or None,
    }
    found = {name: value for name, value in given.items() if value is not None}
    return found | {"setting": questions.setting, "source": questions.source}


def _same_rank(grid: Grid) -> dict[str, Any]:
    """At a service that goes on with the organism's adapter, its rank is that of the cells."""
    return {} if grid.training.backend == TRL else {"rank": grid.ranks[0]}


def _serving(grid: Grid) -> ServingOptions:
    """What answers: where a service trains, its samplers, unless the recipe says otherwise."""
    if grid.serving.backend != "auto" or grid.training.backend == TRL:
        return grid.serving
    return grid.serving.model_copy(update={"backend": grid.training.backend})


def _names_data(grid: Grid) -> bool:
    """Whether general questions have more than the rows of a file, which are hashed as prompts."""
    return grid.capability.file is None or grid.capability.max_tokens is not None


def _template(grid: Grid) -> Mapping[str, Any]:
    """Arguments of the chat template: the recipe's, else those that an organism that exists was trained with.

    The base and the ceiling are asked with the same ones.
    """
    ref = grid.organism.ref
    recorded = resolved(ref, _base(grid)).defaults.chat_template_kwargs if ref else None
    return grid.model.chat_template_kwargs or recorded or {}


def _refuse_trained(model: str) -> None:
    """Raises BadInput where an organism would be installed on top of another one."""
    found = resolved(model)
    if found.setting is not None or found.base is not None:
        raise BadInput(
            f"model: {model} is trained already, and an organism would be installed on it:"
            f" write `organism: {{ref: {model}}}`, and name its base as model"
        )


def _base(grid: Grid) -> str:
    """The base model: of an organism that exists, the one named or the one that its adapter names."""
    if grid.organism.ref is None:
        return grid.model.reference
    if grid.organism.base is not None:
        return grid.organism.base
    if "model" in grid.model_fields_set:
        return grid.model.reference
    found = resolved(grid.organism.ref, key="organism")
    if found.served is not None:
        raise BadInput(
            f"organism: {found.served.public} is served by someone else: add `base: REF`, for a* and the gate;"
            " without any, name it as `model`"
        )
    base = found.base
    if base is None:
        raise BadInput(f"organism: {grid.organism.ref} is a full checkpoint: add `base: REF`, for a* and the gate")
    return base.root.ref


def _n_following(grid: Grid, setting: Setting, variant: Variant) -> int:
    """Number of unrelated system prompts: by default some if the behavior is in a prompt.

    There the behavior may be lost because prompts are ignored. None if the setting itself uses every reply style.
    """
    if grid.n_following is not None:
        return grid.n_following
    prompted = not variant.in_weights and (variant.train.system or variant.eval.system)
    return FOLLOWING if prompted and following.manners(setting) else 0
