"""The recording server in the place of vLLM, and what it recorded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RECORDING = Path(__file__).with_name("recording_server.py")


class Record:
    """The arguments that the servers were started with, and the requests that they got."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def events(self, **having: Any) -> list[dict[str, Any]]:
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        events = [json.loads(line) for line in lines]
        return [event for event in events if having.items() <= event.items()]

    def starts(self) -> list[list[str]]:
        return [event["arguments"] for event in self.events(event="start")]

    def requests(self) -> list[dict[str, Any]]:
        return [event["body"] for event in self.events(path="/v1/completions")]

    def lives(self) -> list[str]:
        """Starts, stops and requests, in order."""
        return [event.get("event", "ask") for event in self.events() if event.get("path") != "/v1/load_lora_adapter"]


def put_in_place_of_vllm(place: Path) -> Path:
    """An environment with a command of that name: what $BCT_VLLM_VENV names."""
    command = place / "venv" / "bin" / "vllm"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{RECORDING}" "$@"\n')
    command.chmod(0o755)
    return place / "venv"
