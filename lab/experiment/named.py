"""What a recipe names for its jobs: models of labels and teachers, arguments of chat templates, options of the backend.

    check(experiment)                 # BadInput before any work, in one line that begins with the recipe's key

Loads tokenizers, no weights. Not covered: whether a model answers, and whether vLLM takes an option.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.experiment import context, home
from lab.experiment.folder import Experiment
from lab.plan.cells import Cell, Start
from serving import backends, refs
from serving.errors import BadInput
from serving.remote import TRANSPORT, described
from trainer.methods import MODEL

#: Arguments of a checkpoint in the engine; further ones are vLLM's.
OF_ENGINE = ("device",)


def check(experiment: Experiment) -> None:
    """Raises BadInput for the first name that cannot be used."""
    home.check()
    for where, ref in dict.fromkeys(each for cell in experiment.cells.values() for each in _models(cell)):
        try:
            refs.resolve(ref)
        except BadInput as error:
            raise BadInput(f"{where}: {error.message}") from None
    for start in experiment.starts.values():
        _check_backend(start)
        _check_template(start)
        context.check(start)


def reach(experiment: Experiment) -> None:
    """Asks the servers of other people for their models, where a start is left to measure.

    Raises:
        BadInput: One has no such model, or refuses the key.
        WorkFailed: One does not answer.
    """
    left = (start for start in experiment.starts.values() if not experiment.is_done(start.id))
    for served in dict.fromkeys(each for start in left for each in start.served()):
        described(served)


def check_weights(experiment: Experiment) -> None:
    """Raises BadInput for the first model whose configuration is on this disk and whose weights cannot be had."""
    for start in experiment.starts.values():
        organism = [("organism", start.checkpoint())] if start.ref else []
        for key, found in (*organism, ("model", refs.resolve(start.model))):
            lacking = next((each for each in found.chain() if each.weightless), None)
            if lacking is not None:
                raise BadInput(
                    f"{key}: the weights of {lacking.ref} are missing: the hub cannot be reached, and its cache has the"
                    f" configuration only. Run `hf download {lacking.hub}` where there is a network"
                )


def _models(cell: Cell) -> Iterator[tuple[str, str]]:
    """Models that a cell or its organism samples labels from, other than its own."""
    source, organism = cell.train.labels(), cell.start.organism
    if source.startswith(MODEL):
        yield f"label_source: {source}", source.removeprefix(MODEL)
    if organism is not None and organism.teacher is not None:
        variants = [variant.name for variant in cell.start.questions.load().variants]
        if organism.teacher not in variants:
            yield "organism.teacher", organism.teacher


def _check_backend(start: Start) -> None:
    serving = start.answering.serving
    if (served := start.served()) and (option := next((o for o in serving.options if o not in TRANSPORT), None)):
        raise BadInput(
            f"serving.options: {served[0].public} takes {', '.join(TRANSPORT)}, not '{option}': leave it out"
        )
    unknown = [name for name in serving.options if name not in (*OF_ENGINE, *(TRANSPORT if served else ()))]
    if not unknown:
        return
    found = start.checkpoint()
    if serving.backend == "tinker":
        raise BadInput(f"serving.options: tinker has no option '{unknown[0]}': leave it out")
    if backends.choose(start.answering.engine(), [found]) == backends.DEFAULT:
        raise BadInput(
            f"serving.options: '{unknown[0]}' is an option of vllm, and the engine answers as {found.ref}:"
            " leave it out, or write `backend: vllm`"
        )


def _check_template(start: Start) -> None:
    if not start.answering.chat_template_kwargs or start.checkpoint().served:  # its server has the template
        return
    from serving.load import load_tokenizer
    from serving.template import refuse_unread

    refuse_unread(load_tokenizer(start.checkpoint()), start.answering.chat_template_kwargs)
