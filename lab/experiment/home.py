"""The folder in a user's home that inspect writes to in every evaluation, checked before there is one.

    problem()           # "inspect writes to /home/me/.local/share/inspect_ai, ..."; None if it can

Nothing is created. Not covered: the caches of Hugging Face, which models in folders do not need.
"""

from __future__ import annotations

import os

from platformdirs import user_data_path

from serving.errors import BadInput


def problem() -> str | None:
    """Why inspect could not write its own files, with the fix; None if it can."""
    wanted = user_data_path("inspect_ai")
    there = next((path for path in (wanted, *wanted.parents) if os.path.lexists(path)), wanted)
    if there.is_dir() and os.access(there, os.W_OK | os.X_OK):
        return None
    return (
        f"inspect writes to {wanted} when it evaluates, and {there} cannot be written to: set HOME, or XDG_DATA_HOME,"
        " to a folder that can"
    )


def check() -> None:
    """Raises BadInput if inspect could not write its own files."""
    if (found := problem()) is not None:
        raise BadInput(found)
