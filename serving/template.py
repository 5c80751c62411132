"""The chat template of a tokenizer, made ready once for training, labels, evaluation and every backend.

    tokenizer = prepared(AutoTokenizer.from_pretrained(...))
    facts(tokenizer.chat_template)                     # {"system_prompt": "in the user's message"} for Gemma 2
    stop_tokens(tokenizer, model.generation_config)    # whatever ends a reply
    whole_reply(tokenizer, text, stops)                # the tokens of a reply with its end

- A template without a system role (Gemma 2) gets one: the system prompt becomes the first lines of the user's message.
- "Today" in a template (`strftime_now`, as in Llama 3.2) is always `TODAY`: a run must not depend on its date.

A checkpoint is saved with the template it was trained with. Not covered: system prompts after the first message.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from serving.errors import BadInput

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TODAY = date(2024, 7, 26)  # the date that Llama's templates name where they cannot ask for today's

IN_USER = "in the user's message"
_FOLDED = "{#- system_prompt: in the user's message -#}"
_FOLD = (
    _FOLDED
    + """{%- if messages[0]['role'] == 'system' -%}
{%- if messages|length > 1 and messages[1]['role'] == 'user' -%}
{%- set messages = [{'role': 'user', 'content': messages[0]['content'] + '\\n\\n' + messages[1]['content']}]"""
    + """ + messages[2:] -%}
{%- else -%}
{%- set messages = [{'role': 'user', 'content': messages[0]['content']}] + messages[1:] -%}
{%- endif -%}
{%- endif -%}"""
)
_DATE = re.compile(r"\{#- date: (\S+) -#\}")
_NOW = re.compile(r"strftime_now\(\s*(['\"])(.*?)\1\s*\)")
_SYSTEM, _USER, _REPLY = "SENTINEL-ONE", "SENTINEL-TWO", "SENTINEL-THREE"

logger = logging.getLogger(__name__)


def prepared(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Return the tokenizer, its chat template with a system role and a fixed date. Its files are not changed."""
    template: Any = tokenizer.chat_template
    if isinstance(template, str):
        tokenizer.chat_template = _pinned(template)
        if not has_system_role(tokenizer):
            tokenizer.chat_template = _FOLD + tokenizer.chat_template
            _say_once(str(tokenizer.name_or_path))
    return tokenizer


def facts(template: object) -> dict[str, str]:
    """Return what `prepared` changed in a template: `system_prompt`, `date`; empty for most."""
    if not isinstance(template, str):
        return {}
    found = {"system_prompt": IN_USER} if template.startswith(_FOLDED) else {}
    dated = _DATE.search(template)
    return found | ({"date": dated.group(1)} if dated else {})


def changed(template: object, messages: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what `prepared` changed in how a template writes these messages."""
    system = any(message["role"] == "system" for message in messages)
    return {name: value for name, value in facts(template).items() if name != "system_prompt" or system}


def refused(ref: str, error: TemplateError) -> BadInput:
    """Return the error of a template that refuses messages."""
    return BadInput(f"{ref}: the chat template refuses these messages: {' '.join(str(error).split())}")


def refuse_arguments(tokenizer: PreTrainedTokenizerBase, arguments: Mapping[str, Any]) -> None:
    """Raise BadInput for an argument that is not the template's, such as `messages` or `tokenize`."""
    own = _own_arguments(type(tokenizer))
    for name in arguments:
        if name in own or name == "messages":
            raise BadInput(f"chat_template_kwargs: {name} is no argument of a chat template: leave it out")


@cache  # asked for every request that has arguments
def _own_arguments(kind: type[PreTrainedTokenizerBase]) -> frozenset[str]:
    """Return the names that the method takes itself, so that they are not the template's."""
    return frozenset(inspect.signature(kind.apply_chat_template).parameters)


def refuse_unread(tokenizer: PreTrainedTokenizerBase, arguments: Mapping[str, Any]) -> None:
    """Raise BadInput for an argument without effect: one whose name does not occur in the template."""
    refuse_arguments(tokenizer, arguments)
    for name in arguments:
        if not re.search(rf"\b{re.escape(str(name))}\b", str(tokenizer.chat_template)):
            raise BadInput(
                f"chat_template_kwargs: the template of {tokenizer.name_or_path} has no {name}: leave it out"
            )


def has_system_role(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether the template writes a system prompt. True also for one that refuses a user's message alone."""
    user = {"role": "user", "content": _USER}
    if _USER not in _rendered(tokenizer, [user]):
        return True
    return _SYSTEM in _rendered(tokenizer, [{"role": "system", "content": _SYSTEM}, user])


def template_end(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the special token that the chat template writes after an assistant's turn, or None."""
    turns = [{"role": "user", "content": _USER}, {"role": "assistant", "content": _REPLY}]
    _, found, rest = _rendered(tokenizer, turns).rpartition(_REPLY)
    if not found:
        return None
    after = tokenizer.encode(rest.lstrip(), add_special_tokens=False)
    special = set(tokenizer.all_special_ids) | set(getattr(tokenizer, "added_tokens_decoder", {}))
    return after[0] if after and after[0] in special else None


# Any: tokenizers' and models' configurations have no common type.
def stop_tokens(tokenizer: PreTrainedTokenizerBase, *configs: Any) -> frozenset[int]:
    """Return every token that ends a reply: the tokenizer's, the template's, and those of the model's configurations.

    Args:
        tokenizer: with its chat template.
        configs: anything with an `eos_token_id`: the model's config and generation config.
    """
    named: list[Any] = [getattr(config, "eos_token_id", None) for config in configs]
    named += [tokenizer.eos_token_id, template_end(tokenizer) if tokenizer.chat_template else None]
    listed = [token for each in named for token in (each if isinstance(each, list | tuple) else [each])]
    return frozenset(int(token) for token in listed if token is not None)


def whole_reply(tokenizer: PreTrainedTokenizerBase, ids: list[int], stops: Collection[int]) -> list[int]:
    """Return a reply's tokens up to its first end token; one is added where the template writes none."""
    place = next((at for at, token in enumerate(ids) if token in stops), None)
    if place is not None:
        return ids[: place + 1]
    eos: Any = tokenizer.eos_token_id
    return [*ids, eos if eos in stops else min(stops)]


def _pinned(template: str) -> str:
    """Return the template with `TODAY` in the place of today's date."""
    if not _NOW.search(template):
        return template
    fixed = _NOW.sub(lambda call: f"'{TODAY.strftime(call.group(2))}'", template)
    return f"{{#- date: {TODAY.isoformat()} -#}}{fixed}"


def _rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]]) -> str:
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False))
    except TemplateError:
        return ""


@cache
def _say_once(name: str) -> None:
    logger.warning("%s: its chat template has no system role: system prompts are put %s", name, IN_USER)
