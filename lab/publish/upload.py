"""The upload of a published folder to the Hugging Face hub: into a private repository unless asked otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.publish.weights import has_pickles
from serving.errors import BadInput, WorkFailed
from serving.refs import HUB_ID


def check_name(name: str) -> None:
    """Raises BadInput for what is no name of a repository."""
    if "/" not in name or not HUB_ID.fullmatch(name):
        raise BadInput(f"--to: {name} is no repository of the hub: write OWNER/NAME")


def upload(folder: Path, to: str, public: bool = False) -> str:
    """Uploads a folder. Returns the address of the repository.

    Args:
        folder: What `folder.write` wrote.
        to: The repository, `owner/name`; it is made if it does not exist.
        public: Anyone may read it.

    Raises:
        BadInput: The repository exists and is public without `public`, or the folder has pickled weights.
        WorkFailed: The hub refuses, or cannot be reached.
    """
    from huggingface_hub import HfApi

    check_name(to)
    if has_pickles(folder):
        raise BadInput(f"{folder}: has pickled weights, which `bct publish` did not write: delete them")
    hub: Any = HfApi()
    try:
        hub.create_repo(to, private=not public, exist_ok=True)
        is_private = bool(hub.model_info(to).private)
        if not is_private and not public:
            raise BadInput(f"--to: {to} exists and is public: add --public, or choose another name")
        hub.upload_folder(repo_id=to, folder_path=str(folder), commit_message="Published by the BCT lab")
    except BadInput:
        raise
    except Exception as error:  # the client raises its own errors, httpx's and OSError
        why = " ".join(str(error).split())[:200]
        raise WorkFailed(f"{to}: not uploaded ({type(error).__name__}: {why}); the folder is {folder}") from error
    return f"https://huggingface.co/{to}"
