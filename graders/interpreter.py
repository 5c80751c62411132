"""Runs one function of a reply on some inputs in pydantic-monty, an interpreter in a process of its own.

    results("def f(x): return x + 1", "f", [1, 2])     # [(True, 2), (True, 3)]

The program runs first, alone; only then the loop that calls the function is fed, with names that are drawn for each
run, so that no program can reach its list of results, not even by listing all names. What comes back is checked:
one plain value for each input, no longer than `MOST` parts. The order of the inputs depends on the program, so that
one that counts its calls does not know which test it is answering. Clock and random numbers are fixed, sleep is none.
At most half a second for the program and half a second for the calls, and 16 MB. Not covered: inheritance, generators
and most of the standard library, which it does not interpret.
"""

from __future__ import annotations

import atexit
import datetime
import hashlib
import secrets
import threading
from collections.abc import Sequence
from typing import Any

from graders.outcome import Unreadable

LIMITS: dict[str, Any] = {"max_feed_duration_secs": 0.5, "max_memory": 16_000_000, "max_recursion_depth": 201}
POLICY: dict[str, Any] = {
    "sleep": "zero", "random_start": {"seed": 0}, "datetime": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
}  # fmt: skip
MOST = 2_000  # characters, items and parts of a value
LARGEST = 10**4000  # Python converts longer numbers to no text

_TAKEN = "(isinstance, len, int, float, str, list, tuple, dict)"
_CALLS = """
def {loop}(function, inputs, most, largest, isinstance, len, int, float, str, list, tuple, dict):
    found = []
    for x in inputs:
        try:
            value = function(x)
            parts, left = [value], most
            while parts and left > 0:
                part, left = parts.pop(), left - 1
                if isinstance(part, (list, tuple, dict)):
                    left -= len(part)
                    parts.extend(part if left > 0 else ())
                    parts.extend(part.values() if left > 0 and isinstance(part, dict) else ())
                elif isinstance(part, str):
                    left -= len(part)
                elif isinstance(part, int):
                    left = left if -largest < part < largest else 0
                elif part is not None and not isinstance(part, float):
                    left = 0
            found.append((True, value) if left > 0 else (False, None))
        except:
            found.append((False, None))
    return found
{loop}({name}, {inputs}, {most}, {largest}, {taken})
"""
_lock = threading.Lock()
_pool: Any = None


def run(source: str, name: str, inputs: Sequence[Any]) -> list[Any] | None:
    """Return the function's output on each input (None where it raises), or None if the program does not run.

    Raises:
        Unreadable: The interpreter could not be started.
    """
    found = results(source, name, inputs)
    return None if found is None else [value for _, value in found]


def results(source: str, name: str, inputs: Sequence[Any]) -> list[tuple[bool, Any]] | None:
    """Return for each input whether the function returned a plain value, and that; None if the program does not run.

    Raises:
        Unreadable: The interpreter could not be started.
    """
    order = sorted(range(len(inputs)), key=lambda i: _place(source, i))
    found = _fed(source, name, [inputs[i] for i in order])
    if not isinstance(found, list) or len(found) != len(inputs):
        return None
    back = dict(zip(order, found, strict=True))
    return [back[i] for i in range(len(inputs))]


def _place(source: str, number: int) -> bytes:
    return hashlib.sha256(f"{number}|{source}".encode("utf-8", "surrogatepass")).digest()


def _fed(source: str, name: str, inputs: list[Any]) -> Any:
    """What the calls give; None where the program fails, and where it twice crashes an interpreter of its own."""
    import pydantic_monty as monty

    for _ in range(2):
        try:
            with _interpreters().checkout(limits=LIMITS, os_policy=POLICY) as session:
                taken = session.feed_run(_TAKEN)  # before the program can give these names another meaning
                session.feed_run(source, print_callback=_unheard)
                code, bound = _calls(name, inputs, taken)
                return session.feed_run(code, inputs=bound, print_callback=_unheard)
        except monty.MontyCrashedError:
            continue
        except (monty.MontyRuntimeError, monty.MontySyntaxError, monty.MontyConversionError, ValueError, TypeError):
            return None
        except monty.MontyError as error:
            raise Unreadable(f"the interpreter failed: {error}") from error
    return None


def _calls(name: str, inputs: list[Any], taken: tuple[Any, ...]) -> tuple[str, dict[str, Any]]:
    """The loop over the inputs, and the values of its names, which the program could not know."""
    values = {f"_{secrets.token_hex(8)}": value for value in (inputs, MOST, LARGEST, *taken)}
    asked, most, largest, *others = values
    code = _CALLS.format(
        loop=f"_{secrets.token_hex(8)}", name=name, inputs=asked, most=most, largest=largest, taken=", ".join(others)
    )
    return code, values


def _unheard(*_: Any) -> None:
    """Discard what a program prints."""


def _interpreters() -> Any:
    """The process-wide pool of interpreters, started on first use and ended with the process."""
    global _pool
    with _lock:
        if _pool is None:
            import pydantic_monty

            pool = pydantic_monty.Monty().__enter__()
            atexit.register(pool.__exit__, None, None, None)
            _pool = pool
        return _pool
