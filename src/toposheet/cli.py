"""The command line: parse, call, exit. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Sequence

import tyro

from toposheet.commands import COMMANDS
from toposheet.errors import RunError, UserError
from toposheet.plugins import load_plugins
from toposheet.version import __version__

DONE, FAILED, MISTAKE = 0, 1, 2
PROGRAM = "toposheet"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 the user's mistake (one line on stderr), 1 anything else."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _quiet()
        load_plugins()
        _parse(arguments)()
    except KeyboardInterrupt:
        name = arguments[0] if arguments else ""
        goes_on = "; the same command goes on from here" if name in COMMANDS and COMMANDS[name].goes_on else ""
        print(f"\n{PROGRAM}: interrupted{goes_on}", file=sys.stderr)
        sys.exit(FAILED)
    except RunError as error:
        _say(error)
        sys.exit(FAILED)
    except UserError as error:
        _say(error)
        sys.exit(MISTAKE)
    except OSError as error:
        if error.filename is None and error.errno not in _OUTSIDE:  # the system refuses a path, or the fault is ours
            raise
        _say(error)
        sys.exit(FAILED if error.errno in _OUTSIDE else MISTAKE)
    sys.exit(DONE)


_OUTSIDE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)  # a full disk, or nobody reads what is printed


def _say(error: Exception) -> None:
    """Print an error as one line on stderr."""
    rank = int(os.environ.get("RANK", "0"))
    if rank:  # where all processes of torchrun meet a mistake, the first says it and ends the others
        time.sleep(3)
    print(f"{PROGRAM}{f' (process {rank})' if rank else ''}: {' '.join(str(error).split())}", file=sys.stderr)


def _parse(arguments: list[str]) -> Callable[[], None]:
    """Return the command that the arguments ask for, ready to be called."""
    if arguments[:1] == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        sys.exit(DONE)
    in_order = sorted(COMMANDS.items(), key=lambda item: item[1].place)
    commands = {name: command.parser for name, command in in_order}
    name, *rest = arguments or [""]
    if (
        name in commands
        and (specific := COMMANDS[name].parser_for) is not None
        and not {"-h", "--help"} & set(rest[:1])
    ):
        commands[name] = specific(rest)
        arguments = [name, *rest]
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.extras.subcommand_cli_from_dict(
                commands,
                prog=PROGRAM,
                description="Topographic language models: grow them, map them, and know what the maps mean.",
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(_one_line(errors.getvalue())) from None


def _one_line(box: str) -> str:
    """Return what a box of the argument parser says, on one line: its first part, without the help of options."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\[/?(?:bold|dim)\]", "", box)
    lines = [match[1].rstrip() for match in re.finditer(r"^│ (.*)│$", plain, re.MULTILINE)]
    if not lines:  # where the terminal knows no frames: a title, a rule, and everything two columns to the right
        lines = [line[2:].rstrip() for line in plain.splitlines()[2:]]
    rule = re.compile(r"\s*[─-]{5,}\s*")
    parts: list[list[str]] = [[]]
    for line in lines:
        if rule.fullmatch(line):
            parts.append([])
        else:
            parts[-1].append(line)
    complaint, *rest = parts
    words = [line.strip() for line in complaint if not line.startswith(" " * 8)]  # deeper lines explain options
    for part in rest:
        if part and part[0].startswith("Perhaps you meant"):
            words.append(f"(did you mean {part[1].split()[0]}?)")
        elif part and part[0].startswith("Available subcommands"):
            words.append(f"({' '.join(line.strip() for line in part).replace('Available', 'available')})")
    line = re.sub(r"^Error parsing \S*tyro-dummy\S*: ", "", " ".join(word for word in words if word))  # has no name
    line = line.partition(" Got errors:")[0]  # what each type of a union says
    return line or "the arguments cannot be understood; see --help"


def _quiet() -> None:
    """Keep other libraries' bars and advice off the terminal; their errors still show."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns where it cannot keep its list of fonts
    if "transformers" in sys.modules:  # it reads the environment when it is imported, which takes a second
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()


if __name__ == "__main__":
    main()
