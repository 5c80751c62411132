"""Commands for the sandbox, each with the exit code that it must have, or the name of the error that inspect reports.

None may end a sample: after each of them the sandbox runs the next one. `DISK` is the size of the box in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DISK = 8 << 20
SH = ["bash", "-c"]
DEEP = "import os\nfor _ in range(2000): os.mkdir('d'); os.chdir('d')\nopen('f', 'w').write('x')"
DEEP_WITH_FILES = "import os\nfor _ in range(500): os.mkdir('e'); os.chdir('e'); open('f', 'w').write('x')"

COMMANDS: Mapping[str, tuple[list[str], dict[str, Any], int | str]] = {
    "nothing": ([], {}, 127),
    "an empty name": ([""], {}, 126),
    "an empty name with arguments": (["", "x"], {}, 126),
    "a space": ([" "], {}, 127),
    "an unknown name": (["no-such-command"], {}, 127),
    "a folder": (["/usr"], {}, 126),
    "a file that is no program": (["/box/given"], {}, 126),
    "a null in the name": (["a\0b"], {}, 126),
    "a null in an argument": (["echo", "a\0b"], {}, 126),
    "a lone surrogate in the name": (["\ud800"], {}, 126),
    "a lone surrogate in an argument": (["echo", "\ud800"], {}, 126),
    "a lone surrogate in the input": (["cat"], {"input": "a\ud800b"}, 0),
    "a null in the input": (["cat"], {"input": "a\0b"}, 0),
    "a null in the environment": (["true"], {"env": {"X": "a\0b"}}, 126),
    "an equals sign in a variable's name": (["true"], {"env": {"A=B": "c"}}, 126),
    "an empty variable's name": (["true"], {"env": {"": "c"}}, 126),
    "a lone surrogate in the environment": (["true"], {"env": {"X": "\ud800"}}, 126),
    "a missing folder": (["true"], {"cwd": "nowhere"}, 127),
    "a null in the folder": (["true"], {"cwd": "a\0b"}, 126),
    "a folder outside": (["ls"], {"cwd": "../../etc"}, 127),
    "a folder of 5,000 characters": (["true"], {"cwd": "d/" * 2500}, 126),
    "an argument of a megabyte": (["echo", "x" * (1 << 20)], {}, 126),
    "100,000 arguments": (["true", *["x" * 30] * 100_000], {}, 126),
    "a file called ..x": ([*SH, "echo hi > ..x"], {}, 0),
    "a folder called ...": ([*SH, "mkdir ... && echo hi > .../x"], {}, 0),
    "a folder called .. x": ([*SH, "mkdir '.. x' && echo hi > '.. x/..'y"], {}, 0),
    "a name with a line break": ([*SH, "echo hi > $'a\\nb'"], {}, 0),
    "a name that is no UTF-8": ([*SH, "echo hi > $'\\xff\\xfe'"], {}, 0),
    "a name of 255 letters": ([*SH, f"echo hi > {'x' * 255}"], {}, 0),
    "a name that looks like an option": ([*SH, "echo hi > -rf; echo hi > '*'"], {}, 0),
    "2,000 levels": (["python3", "-c", DEEP], {}, 0),
    "500 levels with a file each": (["python3", "-c", DEEP_WITH_FILES], {}, 0),
    "a path that is too long": (["python3", "-c", DEEP.replace("2000", "100").replace("'d'", "'d' * 50")], {}, 0),
    "links in a circle": ([*SH, "ln -s b a; ln -s a b; ln -s / root; ln -s . c"], {}, 0),
    "a pipe by name": ([*SH, "mkfifo pipe"], {}, 1),
    "a file that nobody may read": ([*SH, "echo hi > secret; chmod 0 secret; mkdir shut; chmod 0 shut"], {}, 0),
    "a hole": ([*SH, f"truncate -s {DISK} hole"], {}, 1),
    "many holes": ([*SH, f"for i in $(seq 99); do truncate -s {DISK} hole$i; done"], {}, 1),
    "hard links": ([*SH, "head -c 3000000 /dev/urandom > x; for i in $(seq 99); do ln x $i; done"], {}, 1),
    "a full box": ([*SH, "head -c 99000000 /dev/urandom > x || true"], {}, 0),
    "more than the box takes": ([*SH, "head -c 99000000 /dev/urandom > x"], {}, 1),
    "all names of the box": (["python3", "-c", "for i in range(9000): open(str(i), 'w')"], {}, 1),
    "the box removed": ([*SH, "rm -rf /box/* /box/.[!.]* /box/..?*"], {}, 0),
    "itself killed": ([*SH, "kill -9 $$"], {}, 137),
    "itself stopped": ([*SH, "kill -STOP $$"], {"timeout": 1}, "TimeoutError"),
    "a daemon": ([*SH, "(setsid sleep 99 &) ; true"], {}, 0),
    "output for ever": (["yes"], {}, "OutputLimitExceededError"),
    "output that is no text": (["head", "-c", "1000", "/dev/urandom"], {}, 0),
    "no time": (["true"], {"timeout": 0}, "TimeoutError"),
}

#: Files that a tool may be asked to write: each is written, or refused by an error that inspect passes to the model.
WRITES: Mapping[str, str] = {
    "a null": "a\0b",
    "a lone surrogate": "\ud800",
    "nothing": "",
    "a dot": ".",
    "two dots": "..",
    "..x": "..x",
    "...": ".../x",
    "outside": "../x",
    "at the root": "/x",
    "a long name": "x" * 300,
    "a long path": "d/" * 2500 + "x",
    "1,900 levels": "d/" * 1900 + "x",
    "below a file": "given/x",
    "a folder's name": "folder",
    "a slash at its end": "new/",
}
