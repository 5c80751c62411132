"""The static gate of any setting: that of the bundled questions, or that of the user's files.

Not covered: hub data (`bct_tasks.sources.hub.gate`), which may have to be downloaded.
"""

from __future__ import annotations

from bct_tasks import gate
from bct_tasks.gate import GateResult
from bct_tasks.setting import Setting, Variant
from bct_tasks.sources.files import gate as files
from bct_tasks.sources.files.setting import FileSetting


def check(setting: Setting, variant: str | Variant | None = None) -> GateResult:
    """The static gate of one variant. See `gate.check` and `sources.files.gate.check`."""
    return files.check(setting, variant) if isinstance(setting, FileSetting) else gate.check(setting, variant)
