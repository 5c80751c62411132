"""A jail for whole programs without Docker; it could live alone. `process` runs a program, `sandbox` is for inspect."""

from .process import CannotConfine, Limits, Result, inside, level, passes, run_command, run_program, same_output

__all__ = [
    "CannotConfine", "Limits", "Result", "inside", "level", "passes", "run_command", "run_program", "same_output",
]  # fmt: skip
