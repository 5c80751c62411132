"""What inspect loads for `sandbox="jail"`: a name. The sandbox itself is in `graders.sandbox`."""

from __future__ import annotations

from inspect_ai.util import SandboxEnvironment, sandboxenv


@sandboxenv(name="jail")
def jail() -> type[SandboxEnvironment]:
    """Programs confined without Docker; refuses to start where the machine offers no confinement."""
    from graders.sandbox import JailSandbox

    return JailSandbox
