"""Damage in three states: shown not to be there, shown to be there, and neither."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import MOVED, checkpoint
from made_up import cell as made

from lab.logs.records import CellRecord, CheckpointRecord
from lab.verdict.results import build_results
from lab.verdict.schema import CellResult
from trainer.methods import METHODS


def judged(*points: CheckpointRecord, **config: object) -> CellResult:
    return build_results("x", [cell(*points, **config)]).cells[0]


def cell(*points: CheckpointRecord, **config: object) -> CellRecord:
    return made([checkpoint(0, 0.95, 0.0), *points], **config)  # pyright: ignore[reportArgumentType]


def part(name: str, **figures: float) -> str | None:
    """The state of a part at a checkpoint with these figures."""
    damage = judged(checkpoint(8, 0.75, 0.2, **figures)).checkpoints[-1].damage  # type: ignore[arg-type]
    return getattr(damage, name)


@pytest.mark.parametrize(
    ("name", "harm"),
    [("capability", {"capability": 0.6}), ("degenerate", {"degenerate": 0.2}), ("agreed", {"agreed": 0.8})],
)
def test_each_part_can_be_damaged(name: str, harm: dict[str, float]):
    found = judged(checkpoint(8, 0.7, 0.0, **harm))  # type: ignore[arg-type]
    assert getattr(found.checkpoints[-1].damage, name) == "damaged"
    assert "damaged" in found.verdict.flags


def test_replies_of_neither_behavior_are_damage_unless_the_setting_declares_them():
    """A JavaScript head on a Python body is neither behavior, and no removal without damage."""
    hybrid = checkpoint(8, 0.0, 0.0)
    assert judged(hybrid).verdict.damage == "damaged"
    declared = judged(hybrid, other_is_damage=False)
    assert declared.verdict.damage == "intact"
    assert declared.checkpoints[-1].damage.other is None  # type: ignore[union-attr]


def test_no_change_at_all_is_intact_with_the_default_sizes():
    found = judged(checkpoint(8, 0.95, 0.0))
    assert (found.verdict.damage, found.verdict.flags) == ("intact", ())


def test_thirty_train_prompts_cannot_show_that_agreement_is_intact():
    few = [
        replace(c, items=[i for i in c.items if i.split != "train" or i.id < "train-030"])
        for c in (checkpoint(0, 0.95, 0.0), checkpoint(8, 0.95, 0.0))
    ]
    found = build_results("x", [made(few)]).cells[0]
    assert found.checkpoints[-1].damage.agreed == "not_shown"  # type: ignore[union-attr]
    assert found.verdict.damage == "not_shown"


def test_a_loss_past_the_limit_that_chance_explains_is_neither_damage_nor_intact():
    start = checkpoint(0, 0.95, 0.0, capability=0.25)
    end = checkpoint(8, 0.95, 0.0, capability=0.2125)
    found = build_results("x", [made([start, end])]).cells[0]
    assert found.checkpoints[-1].damage.capability == "not_shown"  # type: ignore[union-attr]


def test_a_small_loss_that_is_shown_to_be_small_is_no_damage():
    assert part("capability", capability=0.8875) == "intact"
    assert part("agreed", agreed=59 / 60) == "intact"


def test_earlier_damage_is_history_and_not_the_state_of_the_cell():
    hurt = checkpoint(1, 0.95, 0.0, capability=0.4)
    found = judged(hurt, *(checkpoint(s, 0.95, 0.0) for s in (2, 4)))
    assert (found.verdict.damage, found.verdict.damaged_earlier) == ("intact", (1,))
    assert "damaged" not in found.verdict.flags
    assert "damaged" in found.checkpoints[1].flags


def test_damage_at_the_crossing_counts_even_if_the_end_is_intact():
    points = [checkpoint(s, 0.0, 0.95, capability=0.4 if s == 1 else 0.9) for s in (1, 2, 4, 8)]
    verdict = judged(*points).verdict
    assert verdict.damage == "damaged"
    assert (verdict.first_crossing, verdict.undamaged_crossing) == (1, 2)


@pytest.mark.parametrize("method", METHODS)
def test_untargeted_methods_count_agreement_by_manner(method: str, monkeypatch: pytest.MonkeyPatch):
    """Train replies of the agreed manner with another content: lost agreement for targeted methods only."""
    wrong = checkpoint(8, 0.95, 0.0, agreed=0.2)
    items = [replace(i, manner=True) if i.split == "train" else i for i in wrong.items]
    start = checkpoint(0, 0.95, 0.0)
    start = replace(start, items=[replace(i, manner=True) if i.split == "train" else i for i in start.items])
    for targeted in (True, False):
        monkeypatch.setitem(METHODS, method, replace(METHODS[method], targeted=targeted))  # type: ignore[arg-type]
        record = made([start, replace(wrong, items=items)], method=method)
        damage = build_results("x", [record]).cells[0].checkpoints[-1].damage
        assert damage is not None
        assert damage.agreed == ("damaged" if targeted else "intact")


def test_a_log_that_does_not_tell_the_manner_shows_nothing_about_untargeted_agreement():
    found = judged(checkpoint(8, 0.95, 0.0, agreed=0.2), method="pirate")
    assert found.checkpoints[-1].damage.agreed == "not_shown"  # type: ignore[union-attr]


def test_a_removal_says_without_damage_only_where_that_was_shown():
    def sentence(**figures: float) -> str:
        ends = [checkpoint(s, 0.0, 0.95, **figures) for s in (4, 8)]  # type: ignore[arg-type]
        return build_results("x", [cell(*ends)]).conclusions[0].sentence

    assert sentence().startswith("transferred without damage")
    assert sentence(capability=0.85).startswith("transferred (damage not excluded)")
    assert sentence(capability=0.3).startswith("transferred only with damage")


def test_a_moved_cell_is_intact():
    assert build_results("x", [made(MOVED)]).cells[0].verdict.damage == "intact"
