"""A run before any model is loaded: its first row as the model sees it, its tokens, and estimates of time and memory.

    preview(config)["first_row"]     # 'user: 12 + 7? assistant: «19<|end|>»', the loss covers the text in « »

Times and memory: `trainer.run.size`. Not covered: sampling labels, building an organism, evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from serving.template import refuse_unread, stop_tokens
from trainer.data import rows, tokens
from trainer.data.tokens import IGNORED, Encoded
from trainer.methods import is_sampled
from trainer.run import size as sizes

if TYPE_CHECKING:
    from trainer.config import TrainConfig


def preview(config: TrainConfig) -> dict[str, Any]:
    """Rows, tokens and estimates of a run. Reference labels replace sampled ones, which are not known yet.

    Raises:
        BadInput: if the setting has no such rows, or they do not fit into the model.
    """
    from serving.load import load_tokenizer

    setting, start = config.asked(), config.origin()
    tokenizer = load_tokenizer(start)
    refuse_unread(tokenizer, config.chat_template_kwargs)
    parts = rows.parts(setting, config)
    made = [rows.row(p, r) for part in parts for p, r in zip(part.prompts, part.references, strict=True)]
    made = made[: config.unique_rows()]
    length = config.max_length or 10**6
    encoded = tokens.encode(made, tokenizer, stop_tokens(tokenizer), length, config.chat_template_kwargs)
    places = rows.order(len(encoded), config.steps * config.batch_size, config.seed_of("order"))
    total = sum(len(encoded.input_ids[place]) for place in places)
    on_loss = sum(sum(label != IGNORED for label in encoded.labels[place]) for place in places)
    sampled = is_sampled(config.labels())
    longest = max(len(ids) for ids in encoded.input_ids)
    return {
        "first_row": first_row(encoded, places[0], tokenizer),
        "labels": f"{config.labels()}{', shown and counted with reference labels here' if sampled else ''}",
        "unique_rows": len(encoded),
        "general_rows": sum(part.rows for part in parts[1:]),
        "tokens": total,
        "tokens_on_loss": on_loss,
        "longest_row": longest,
        "estimate": estimate(config, total, longest),
    }


# Any: tokenizers of transformers have no common type with `decode`.
def first_row(encoded: Encoded, place: int, tokenizer: Any) -> str:
    """The first row of training as text, with the tokens of the loss in « »."""
    ids, labels = encoded.input_ids[place], encoded.labels[place]
    cut = next((at for at, label in enumerate(labels) if label != IGNORED), len(ids))
    return f"{tokenizer.decode(ids[:cut])}«{tokenizer.decode(ids[cut:])}»"


def estimate(config: TrainConfig, total: int, longest: int) -> dict[str, Any] | None:
    """Seconds and memory of a training on this machine; None if it is elsewhere, or the model's size is not known.

    Args:
        config: the cell.
        total: tokens of all rows.
        longest: tokens of the longest row.
    """
    size = sizes.size_of(config.origin())
    if size is None or config.backend != "trl":
        return None
    micro_batch = config.batch_size // config.gradient_accumulation_steps * longest
    memory = sizes.training_memory(size, config.rank, micro_batch, bool(config.kl))
    return {
        "seconds": round(
            sizes.training_seconds(size, config.rank, total, config.steps, bool(config.kl), config.dtype), 1
        ),
        "memory_gb": round(memory / 2**30, 2),
        "parameters": size.parameters,
        "trained_parameters": size.trained(config.rank),
        "matmul_gflops": round(sizes.matmul_rate(config.dtype) / 1e9),
    }
