"""The static gate of any setting: that of the bundled questions, of the user's files, or of another pool of questions.

Hub data must be on this machine, or are downloaded.
"""

from __future__ import annotations

from bct_tasks import gate
from bct_tasks.gate import GateResult
from bct_tasks.setting import Setting, Variant
from bct_tasks.sources.files import gate as files
from bct_tasks.sources.files.setting import FileSetting
from bct_tasks.sources.pool import PoolSetting
from bct_tasks.sources.pool_gate import check as check_pool


def check(setting: Setting, variant: str | Variant | None = None) -> GateResult:
    """The static gate of one variant. See `gate.check`, `sources.files.gate.check` and `sources.pool_gate.check`."""
    if isinstance(setting, FileSetting):
        return files.check(setting, variant)
    return check_pool(setting, variant) if isinstance(setting, PoolSetting) else gate.check(setting, variant)
