"""A jail for complete programs without Docker; self-contained. `process` runs a program, `sandbox` is for inspect."""

from .process import CannotConfine, Limits, Result, inside, level, passes, run_command, run_program, same_output

__all__ = [
    "CannotConfine", "Limits", "Result", "inside", "level", "passes", "run_command", "run_program", "same_output",
]  # fmt: skip
