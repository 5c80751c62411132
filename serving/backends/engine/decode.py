"""One batch of prompts to replies: left padding, key-value cache, greedy and sampled rows together.

Each row has its own temperature, top-p, top-k, seed, limit and listener, and leaves the batch when it ends.
transformers' `generate` is not used because it has one of each for a batch. A row's draws depend on its seed and prompt
alone, never on the rest of its batch. A model's own sampling defaults (temperature, repetition penalty) in
generation_config.json are not applied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from serving.backends.engine.cache import can_spread, with_room

# Finished rows stay until they are this share of the batch, since selecting rows of the cache also takes time.
DONE_SHARE = 0.25
# What all prompts of a batch begin with, such as a system prompt, is computed once if that saves this many tokens: a
# further pass takes time too.
LEAST_SAVED = 256


@dataclass(frozen=True)
class PromptRow:
    """One prompt as tokens, with the options of its reply."""

    prompt: list[int]
    limit: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int = 0
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


@dataclass(frozen=True)
class Chance:
    """Log-probability of a token of a reply, and of the likeliest ones: (token, log-probability)."""

    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass
class Written:
    """The reply of a row so far: its tokens including the end token, and whether an end token or stop string came.

    `chances` has one entry per token if the row requests log-probabilities.
    """

    tokens: list[int] = field(default_factory=list[int])
    ended: bool = False
    left: bool = False
    """Whether the rest of the reply is no longer needed."""
    chances: list[Chance] = field(default_factory=list[Chance])


Listener = Callable[[list[int]], bool]
"""Receives the tokens of a row after each one that does not end it; False frees the row."""


@dataclass(frozen=True)
class Ending:
    """When a reply is over: any end token, or any of the row's stop strings."""

    tokens: frozenset[int]
    tokenizer: PreTrainedTokenizerBase

    def reached(self, row: PromptRow, written: Written) -> bool:
        """Return whether the last token ended the reply."""
        return written.tokens[-1] in self.tokens or (bool(row.stop) and self._stopped(row, written.tokens))

    def _stopped(self, row: PromptRow, tokens: list[int]) -> bool:
        # The last token can only complete a stop string within these: at most four tokens per character.
        tail = tokens[-(4 * max(map(len, row.stop)) + 8) :]
        text = to_text(self.tokenizer, tail)
        return any(stop in text for stop in row.stop)


def to_text(tokenizer: PreTrainedTokenizerBase, tokens: list[int]) -> str:
    """Return the text of a reply without special tokens, and without a clean-up of spaces, which would alter code."""
    return str(tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    rows: Sequence[PromptRow],
    ending: Ending,
    pad: int,
    listeners: Sequence[Listener | None] = (),
) -> list[Written]:
    """Return replies of a causal language model to prompts of any lengths, in order.

    Args:
        model: The model, in evaluation mode.
        rows: The prompts; every limit is at least 1.
        ending: What ends a reply.
        pad: The padding token, which is masked.
        listeners: Empty, or a listener or None for each row.
    """
    written = [Written() for _ in rows]
    heard = listeners or [None] * len(rows)
    living = list(range(len(rows)))
    sampler = Sampler(rows, model.device)
    longest = max(row.limit for row in rows)
    cache, head = _begun(model, [row.prompt for row in rows], longest)
    tokens, mask = left_padded([row.prompt[head:] for row in rows], pad, model.device)
    mask = torch.cat([mask.new_ones(len(rows), head), mask], dim=1)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, head:]
    for turn in range(longest):
        place = {"attention_mask": mask, "position_ids": positions, "past_key_values": cache}
        logits = model(input_ids=tokens, logits_to_keep=1, **place).logits[:, -1]
        chosen = sampler.choose(logits, turn)
        _note_chances([rows[at] for at in living], [written[at] for at in living], logits, chosen)
        said = zip(living, chosen.tolist(), strict=True)
        alive = [_write(rows[at], written[at], token, ending, heard[at]) for at, token in said]
        if not any(alive):
            break
        tokens, positions = chosen[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(living), 1)], dim=1)
        if alive.count(False) >= DONE_SHARE * len(living):
            keep = torch.tensor([at for at, lives in enumerate(alive) if lives], device=mask.device)
            living = [living[at] for at in keep.tolist()]
            tokens, positions, mask = tokens[keep], positions[keep], mask[keep]
            cache.batch_select_indices(keep)
            sampler.keep(keep)
    return written


def _begun(model: PreTrainedModel, prompts: Sequence[list[int]], longest: int) -> tuple[DynamicCache, int]:
    """A cache for replies of up to `longest` tokens, and how many tokens, common to all prompts, it holds already."""
    cache = with_room(model.config, max(map(len, prompts)) + longest)
    head = shared(prompts)
    if head * (len(prompts) - 1) < LEAST_SAVED or not can_spread(cache):
        return cache, 0
    tokens = torch.tensor([prompts[0][:head]], device=model.device)
    model(input_ids=tokens, logits_to_keep=1, past_key_values=cache)
    cache.batch_repeat_interleave(len(prompts))
    return cache, head


def shared(prompts: Sequence[list[int]]) -> int:
    """How many tokens all prompts begin with, less than the shortest has."""
    first, last = min(prompts), max(prompts)
    most = min(map(len, prompts)) - 1
    return next((at for at in range(most) if first[at] != last[at]), most)


def _write(row: PromptRow, written: Written, token: int, ending: Ending, listener: Listener | None) -> bool:
    """Add a token to a row that is not finished; return whether it continues."""
    if not _goes_on(row, written):
        return False
    written.tokens.append(token)
    written.ended = ending.reached(row, written)
    if listener is not None and _goes_on(row, written):
        written.left = not listener(written.tokens)
    return _goes_on(row, written)


def _note_chances(
    rows: Sequence[PromptRow], written: Sequence[Written], logits: torch.Tensor, chosen: torch.Tensor
) -> None:
    """Record log-probabilities of the tokens just chosen, before sampling, for unfinished rows that request them."""
    asking = [at for at, row in enumerate(rows) if row.logprobs is not None and _goes_on(row, written[at])]
    if not asking:
        return
    chances = logits[asking].float().log_softmax(-1)
    spoken = chances.gather(-1, chosen[asking][:, None])[:, 0].tolist()
    best = chances.topk(min(max(rows[at].logprobs or 0 for at in asking), chances.shape[-1]), dim=-1)
    for at, logprob, tokens, values in zip(asking, spoken, best.indices.tolist(), best.values.tolist(), strict=True):
        top = tuple(zip(tokens, values, strict=True))[: rows[at].logprobs]
        written[at].chances.append(Chance(logprob, top))


def _goes_on(row: PromptRow, written: Written) -> bool:
    return not written.ended and not written.left and len(written.tokens) < row.limit


def left_padded(sequences: Sequence[list[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens and attention mask of shape (rows, longest), each row ending in the last column."""
    width = max(map(len, sequences))
    tokens = [[pad] * (width - len(sequence)) + sequence for sequence in sequences]
    mask = [[0] * (width - len(sequence)) + [1] * len(sequence) for sequence in sequences]
    return torch.tensor(tokens, device=device), torch.tensor(mask, device=device)


class Sampler:
    """The next token of each row: the largest logit at temperature 0, else a draw by inverse transform.

    A row's uniform numbers are drawn in advance from its seed and prompt: the same seed gives different prompts
    different draws, and the same prompt the same reply in any batch.
    """

    def __init__(self, rows: Sequence[PromptRow], device: torch.device) -> None:
        self._sampling = any(row.temperature > 0 for row in rows)
        if not self._sampling:
            return
        heat = [row.temperature for row in rows]
        self._greedy = torch.tensor([warmth <= 0 for warmth in heat], device=device)
        self._temperature = torch.tensor([warmth if warmth > 0 else 1.0 for warmth in heat], device=device)
        self._top_p = torch.tensor([row.top_p for row in rows], device=device)
        self._top_k = torch.tensor([row.top_k or 2**31 for row in rows], device=device)
        self._uniform = torch.from_numpy(_uniform(rows)).to(device)

    def keep(self, rows: torch.Tensor) -> None:
        """Continue with these rows only."""
        if self._sampling:
            for name in ("_greedy", "_temperature", "_top_p", "_top_k", "_uniform"):
                setattr(self, name, getattr(self, name)[rows])

    def choose(self, logits: torch.Tensor, turn: int) -> torch.Tensor:
        """Return the token of each row, from logits of shape (rows, vocabulary)."""
        largest = logits.argmax(-1)
        if not self._sampling:
            return largest
        heat = logits.float() / self._temperature[:, None]
        shares, order = heat.softmax(-1).sort(stable=True, dim=-1, descending=True)
        ranks = torch.arange(shares.shape[-1], device=shares.device)
        shares = shares.masked_fill(ranks >= self._top_k[:, None], 0.0)
        shares = shares / shares.sum(-1, keepdim=True)
        shares = shares.masked_fill(shares.cumsum(-1) - shares >= self._top_p[:, None], 0.0)
        below = shares.cumsum(-1)
        point = self._uniform[:, turn, None] * below[:, -1:]
        rank = (below <= point).sum(-1, keepdim=True).clamp(max=shares.shape[-1] - 1)
        return torch.where(self._greedy, largest, order.gather(-1, rank)[:, 0])


def _uniform(rows: Sequence[PromptRow]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return numbers in [0, 1) of shape (rows, longest limit)."""
    drawn = np.zeros((len(rows), max(row.limit for row in rows)), dtype=np.float32)
    for at, row in enumerate(rows):
        if row.temperature > 0:
            key = hashlib.sha256(f"{row.seed}:{row.prompt}".encode()).digest()
            generator = np.random.default_rng(int.from_bytes(key[:8], "little"))
            drawn[at, : row.limit] = generator.random(row.limit, dtype=np.float32)
    return drawn
