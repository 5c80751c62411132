"""Errors of the trainer in the words of a recipe."""

from __future__ import annotations

import pytest

from lab.plan.words import of_recipe


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("raise --max_length or use a longer model", "raise max_length or use a longer model"),
        ("longer ones may be: labels.max_tokens, --reply_tokens", "longer ones may be: labels.max_tokens"),
        ("use --label_source reference", "use label_source reference"),
        ("choose another --out, or --force", "choose another --out, or --force"),
    ],
)
def test_options_of_the_trainer_become_keys_and_those_of_the_run_stay(said: str, shown: str) -> None:
    assert of_recipe(said) == shown
