"""The conversation of `bct chat`, with one checkpoint or two side by side, and a setting's prompts.

Lines come from the terminal or a pipe. Replies are the in-process engine's; on a terminal they are streamed.
Replies to a setting's prompts are graded immediately. Not covered: lines of several paragraphs.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bct_tasks import catalogue
from bct_tasks.setting import Prompt, Setting
from graders import Unreadable
from lab.cli.serve import warn_of_organisms
from serving.backends.engine.engine import Engine, get_engine
from serving.characters import visible
from serving.errors import BadInput, did_you_mean
from serving.refs import Checkpoint, resolve
from serving.request import Reply, Request
from serving.terminal import terminal

HELP = """\
/prompts        the setting's prompts, numbered
/train [N]      send the Nth train prompt, in a new conversation; without N the next one
/eval [N]       the same for eval prompts, on which the two policies differ
/system [TEXT]  set the system prompt and start a new conversation; without TEXT none
/reset          start a new conversation
/quit           end (or Ctrl-D)"""
COMMANDS = ("/prompts", "/train", "/eval", "/system", "/reset", "/help", "/quit")
AT_HAND = 20
MAX_TOKENS = 512
# Wide enough for two replies if the output is a pipe, which has no width.
PIPE_WIDTH = 120


def converse(
    refs: Sequence[str],
    base: str | None,
    setting: str | None,
    variant: str | None,
    system: str | None,
    max_tokens: int | None,
    heat: float | None,
) -> None:
    """Read lines and answer them until the end of the input.

    Raises:
        BadInput: for more than two references, or one that cannot be resolved.
    """
    if len(refs) > 2:
        raise BadInput(f"{len(refs)} references: name one checkpoint, or two to see them side by side")
    checkpoints = [resolve(ref, base) for ref in refs]
    console = terminal(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    prompts, live = at_hand(checkpoints, setting, variant), console if console.is_terminal else None
    talk = Talk(checkpoints, prompts, system, max_tokens, heat, get_engine(), live)
    warn_of_organisms(checkpoints)
    console.print(talk.title())
    with suppress(EOFError, KeyboardInterrupt):
        for line in lines(console):
            shown = talk.take(line)
            if shown is None:
                return
            console.print(shown)


def lines(console: Console) -> Iterator[str]:
    """The lines that are typed or piped in, without empty ones. Raises EOFError at the end, as `input` does."""
    if sys.stdin.isatty():
        with suppress(ImportError):
            import readline  # noqa: F401  (arrow keys and a history, where the platform has it)
    while True:
        line = (console.input(Text("> ", "bold")) if sys.stdin.isatty() else input()).strip()
        if line:
            yield line


@dataclass(frozen=True)
class AtHand:
    """A setting's first prompts."""

    setting: Setting
    variant: str
    prompts: dict[str, list[Prompt]]

    def grade(self, prompt: Prompt, reply: Reply) -> str:
        """The outcome of a reply."""
        try:
            return str(self.setting.grade(prompt, reply.text, reply.stop_reason != "stop").outcome)
        except Unreadable:
            return "unscored"


def at_hand(checkpoints: Sequence[Checkpoint], setting: str | None, variant: str | None) -> AtHand | None:
    """The prompts of the named setting, else of the first checkpoint's setting."""
    known = [c for c in checkpoints if c.setting in catalogue.names() and setting in (None, c.setting)]
    name = setting or (known[0].setting if known else None)
    if name is None:
        if variant is not None:
            raise BadInput("--variant needs a --setting: these checkpoints have none")
        return None
    found = catalogue.load(name)
    chosen = found.variant(variant or (known[0].variant if known else None)).name
    return AtHand(found, chosen, {split: found.prompts(chosen, split, AT_HAND) for split in ("train", "eval")})


@dataclass
class Said:
    """The text of a checkpoint's reply so far."""

    text: str = ""

    def take(self, piece: str) -> bool:
        """Called by the engine's worker."""
        self.text += piece
        return True


@dataclass
class Talk:
    """One conversation with each checkpoint; each line is sent to all of them."""

    checkpoints: list[Checkpoint]
    prompts: AtHand | None
    system: str | None
    max_tokens: int | None
    temperature: float | None
    engine: Engine
    live: Console | None = None
    """Shows replies while they are generated."""
    histories: list[list[dict[str, str]]] = field(default_factory=list[list[dict[str, str]]])
    turn: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self._begin(self.system)

    def title(self) -> RenderableType:
        """The checkpoints, and how to get help."""
        names = " and ".join(f"{c.ref} ({c.fingerprint})" for c in self.checkpoints)
        at_hand = f"; prompts of {self.prompts.setting.name}.{self.prompts.variant}" if self.prompts else ""
        return Text(f"{names}{at_hand}. /help lists the commands.")

    def take(self, line: str) -> RenderableType | None:
        """The answer to a line; None at the end."""
        if not line.startswith("/"):
            return self._say(line)
        command, _, rest = line.partition(" ")
        if command == "/quit":
            return None
        acts: dict[str, Callable[[str], RenderableType]] = {
            "/help": lambda _: Text(HELP),
            "/reset": lambda _: self._begin(self.system),
            "/system": lambda text: self._begin(text or None),
            "/prompts": lambda _: self._list(),
            "/train": lambda number: self._ask("train", number),
            "/eval": lambda number: self._ask("eval", number),
        }
        try:
            return acts[command](rest.strip()) if command in acts else self._unknown(command)
        except BadInput as error:
            return Text(error.message, style="red")

    def _unknown(self, command: str) -> RenderableType:
        raise BadInput(f"{command}: no such command.{did_you_mean(command, COMMANDS) or ' /help lists them.'}")

    def _begin(self, system: str | None) -> RenderableType:
        self.system = system
        head = [{"role": "system", "content": system}] if system else []
        self.histories = [list(head) for _ in self.checkpoints]
        return Text(
            f"New conversation, {'with the system prompt ' + shlex.quote(system) if system else 'no system prompt'}."
        )

    # --- the setting's prompts ------------------------------------------------------------------------

    def _list(self) -> RenderableType:
        prompts = self._at_hand().prompts
        tables = [_table(split, prompts[split]) for split in ("train", "eval")]
        return Group(*tables)

    def _ask(self, split: str, number: str) -> RenderableType:
        at_hand = self._at_hand()
        prompt = at_hand.prompts[split][self._number(split, number) - 1]
        before = self.system
        self._begin(prompt.system)
        head = [("system", prompt.system)] if prompt.system else []
        asked = Group(*(Text(f"{role:7} {text}", style="dim") for role, text in [*head, ("user", prompt.user)]))
        if self.live is not None:
            self.live.print(asked)
        shown = self._say(prompt.user, prompt)
        self.system = before  # for the next /reset; this conversation keeps the prompt's system prompt
        return Group(asked, shown) if self.live is None else shown

    def _number(self, split: str, number: str) -> int:
        chosen = number or str(self.turn.get(split, 0) % AT_HAND + 1)
        if not chosen.isdecimal() or not 1 <= int(chosen) <= AT_HAND:
            raise BadInput(f"/{split} {chosen}: name a number from 1 to {AT_HAND}")
        self.turn[split] = int(chosen)
        return int(chosen)

    def _at_hand(self) -> AtHand:
        if self.prompts is None:
            raise BadInput("no setting is selected: start again with --setting NAME (`bct list` shows them)")
        return self.prompts

    # --- replies --------------------------------------------------------------------------------------

    def _say(self, text: str, prompt: Prompt | None = None) -> RenderableType:
        for history in self.histories:
            history.append({"role": "user", "content": text})
        panels = [self._panel(at, reply, prompt) for at, reply in enumerate(self._replies())]
        return panels[0] if len(panels) == 1 else _side_by_side(panels)

    def _replies(self) -> list[Reply | Exception]:
        asked = zip(self.checkpoints, self.histories, strict=True)
        said = [Said() for _ in self.checkpoints]
        # All requests are sent before the first reply is awaited.
        pairs = [(said, c, self._request(c, history)) for said, (c, history) in zip(said, asked, strict=True)]
        futures = [self.engine.stream(c, request, words.take) for words, c, request in pairs]
        if self.live is not None:
            with Live(console=self.live, get_renderable=lambda: self._unfinished(said), transient=True):
                wait(futures)
        return [_result(future) for future in futures]

    def _request(self, checkpoint: Checkpoint, history: list[dict[str, str]]) -> Request:
        own = checkpoint.defaults
        heat = own.temperature if self.temperature is None else self.temperature
        limit = self.max_tokens or own.max_tokens or MAX_TOKENS
        return Request(list(history), max_tokens=limit, temperature=heat or 0.0)

    def _unfinished(self, said: Sequence[Said]) -> RenderableType:
        names = (checkpoint.ref for checkpoint in self.checkpoints)
        panels = [Column(name, Text(visible(s.text))) for s, name in zip(said, names, strict=True)]
        return panels[0] if len(panels) == 1 else _side_by_side(panels)

    def _panel(self, at: int, reply: Reply | Exception, prompt: Prompt | None) -> Column:
        name = self.checkpoints[at].ref
        if isinstance(reply, Exception):
            self.histories[at].pop()  # the question that was not answered
            return Column(name, Text(visible(str(reply)), style="red"))
        self.histories[at].append({"role": "assistant", "content": reply.text})
        notes = [self.prompts.grade(prompt, reply)] if self.prompts and prompt else []
        notes += [f"{reply.output_tokens} tokens", *(["cut off"] if reply.stop_reason != "stop" else [])]
        return Column(name, Text(visible(reply.text)), Text(", ".join(notes)))


def _result(future: Future[Reply]) -> Reply | Exception:
    try:
        return future.result()
    except Exception as error:  # an error of one checkpoint must not end the conversation with the other
        return error


@dataclass(frozen=True)
class Column:
    """The reply of one checkpoint. A long name is cut at its beginning, since its end has the step."""

    name: str
    said: Text
    notes: Text | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = max(8, options.max_width - 6)
        name = self.name if len(self.name) <= room else f"…{self.name[1 - room :]}"
        yield Panel(self.said, title=Text(name), subtitle=self.notes)


def _side_by_side(panels: Sequence[RenderableType]) -> RenderableType:
    grid = Table.grid(expand=True)
    for _ in panels:
        grid.add_column(ratio=1)
    grid.add_row(*panels)
    return grid


def _table(split: str, prompts: Sequence[Prompt]) -> RenderableType:
    table = Table(title=f"/{split}", title_justify="left", box=None, pad_edge=False)
    table.add_column("N", justify="right")
    table.add_column("system")
    table.add_column("user")
    for number, prompt in enumerate(prompts, start=1):
        table.add_row(str(number), Text(prompt.system or ""), Text(prompt.user))
    return table
