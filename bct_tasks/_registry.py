"""Entry point of inspect: every setting's task, the guards, the scorers and the sandbox `jail`. Imports no torch.

A setting needs no line here: importing its module registers its task. One whose file is broken is left out, with a line
on stderr.
"""

from __future__ import annotations

import sys

from inspect_ai.util import SandboxEnvironment, sandboxenv

from bct_tasks import catalogue
from bct_tasks.errors import visible
from bct_tasks.guards.tasks import capability, system_prompt_following
from bct_tasks.margins import margins
from bct_tasks.task import outcome, setting

SETTINGS, BROKEN = catalogue.load_all()
for _error in BROKEN:
    print(f"left out: {visible(_error.message)}", file=sys.stderr)


@sandboxenv(name="jail")
def jail() -> type[SandboxEnvironment]:
    """Programs confined without Docker; refuses to start where the machine offers no confinement."""
    from graders.jail.sandbox import JailSandbox

    return JailSandbox


__all__ = ["BROKEN", "SETTINGS", "capability", "jail", "margins", "outcome", "setting", "system_prompt_following"]
