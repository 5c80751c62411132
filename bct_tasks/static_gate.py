"""The static gate of any setting: that of the bundled questions, of the user's files, or of another pool of questions.

Hub data must be on this machine, or are downloaded. General questions of a public data set are checked too: their right
answers must be graded as agreed.
"""

from __future__ import annotations

import dataclasses

from bct_tasks import gate
from bct_tasks.gate import GateResult
from bct_tasks.setting import Setting, Variant
from bct_tasks.sources.files import gate as files
from bct_tasks.sources.files.setting import FileSetting
from bct_tasks.sources.pool import PoolSetting
from bct_tasks.sources.pool_gate import AGREES
from bct_tasks.sources.pool_gate import check as check_pool
from graders import Outcome

#: General questions that are graded.
MOST = 200


def check(setting: Setting, variant: str | Variant | None = None) -> GateResult:
    """The static gate of one variant. See `gate.check`, `sources.files.gate.check` and `sources.pool_gate.check`."""
    if isinstance(setting, FileSetting):
        result = files.check(setting, variant)
    else:
        result = check_pool(setting, variant) if isinstance(setting, PoolSetting) else gate.check(setting, variant)
    return _with_general(result, setting)


def _with_general(result: GateResult, setting: Setting) -> GateResult:
    """The gate with the share of right answers to a public data set that are graded as agreed, if it holds any."""
    if setting.capability is None or setting.capability.about["source"] == "files":
        return result
    prompts = setting.prompts(None, "capability", setting.most("capability", MOST))
    answers = [(prompt, prompt.replies["right"]) for prompt in prompts if "right" in prompt.replies]
    if not answers:
        return result
    share = sum(setting.grade(*each).outcome is Outcome.AGREED for each in answers) / len(answers)
    source = setting.capability.about["source"]
    wrong = (
        f"right answers to {source} are graded agreed on {share:.0%} of {len(answers)} questions, under {AGREES:.0%}"
    )
    reasons = (*result.reasons, *([wrong] if share < AGREES else []))
    return dataclasses.replace(result, reasons=reasons, figures={**result.figures, "capability": round(share, 4)})
