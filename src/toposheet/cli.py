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
from toposheet.commands._command import ARGUMENTS
from toposheet.errors import RunError, UserError, did_you_mean
from toposheet.plugins import load_plugins
from toposheet.terminal import make_printable
from toposheet.version import __version__

DONE, FAILED, MISTAKE = 0, 1, 2
PROGRAM = "toposheet"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 the user's mistake (one line on stderr), 1 anything else."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    make_printable()
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
    _check_not_empty(arguments)
    name, *rest = arguments or [""]
    if (
        name in commands
        and (specific := COMMANDS[name].parser_for) is not None
        and not {"-h", "--help"} & set(rest[:1])
    ):
        commands[name] = specific(rest)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.extras.subcommand_cli_from_dict(
                commands,
                prog=PROGRAM,
                description="Topographic language models: grow them, map them, and know what the maps mean.\n\n"
                f"{PROGRAM} COMMAND --help says what a command takes, {PROGRAM} --version which version this is.",
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
                registry=ARGUMENTS,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(_one_line(errors.getvalue())) from None


def _check_not_empty(arguments: Sequence[str]) -> None:
    """Refuse an argument without anything in it, as of a shell variable that is not set.

    Raises:
        UserError: the message says which.
    """
    for place, argument in enumerate(arguments):
        option, sign, value = argument.partition("=")
        named = sign and option.startswith("--")
        if (value if named else argument).strip():
            continue
        before = arguments[place - 1] if place else ""
        what = option if named else before if before.startswith("--") else f"argument {place + 1}"
        raise UserError(f"{what} is empty: write a value")


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
    for pattern, in_our_words in _IN_OUR_WORDS:
        line = re.sub(pattern, in_our_words, line)
    return line or "the arguments cannot be understood; see --help"


def _unknown_command(match: re.Match[str]) -> str:
    name, *_ = match["options"].split(", ")
    return f"Unrecognized command {name!r}.{did_you_mean(name, match['commands'].split(', '))}{match['rest']}"


def _unknown_choice(match: re.Match[str]) -> str:
    choices = re.findall(r"'([^']*)'", match["choices"])
    return f"{match['option']} is {match['value']}: it must be one of {match['choices']}." + did_you_mean(
        match["value"].strip("'"), choices
    )


_KINDS = {"INT": "a whole number", "FLOAT": "a number", "PATH": "a path"}


def _wrong_kind(match: re.Match[str]) -> str:
    kinds = [_KINDS.get(kind.strip("{}"), kind.strip("{}")) for kind in match["kinds"].split("|")]
    return f"{match['option']} is {match['value']}: it must be {' or '.join(kinds)}"


_IN_OUR_WORDS: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)$", r"\1 is \2: it must be a whole number"),
    (r"^Error parsing (\S+): could not convert string to float: (.*)$", r"\1 is \2: it must be a number"),
    (r"^Error parsing (\S+): Could not find valid parse for arguments: \[(.*)\]$", r"\1 cannot be \2: see --help"),
    (
        r"^Error parsing (?P<option>\S+): no type matching (?P<kinds>\S+) could be instantiated from "
        r"\[(?P<value>.*)\]\.?$",
        _wrong_kind,
    ),
    (r"^Missing value for argument '(\S+)'\. Expected .*$", r"\1 has no value: write one behind it"),
    (
        r"^invalid choice (?P<value>.*) for argument '(?P<option>\S+)'\. Expected one of (?P<choices>\(.*\))\.$",
        _unknown_choice,
    ),
    (
        r"^Unrecognized options: (?P<options>[^-(][^(]*?)(?P<rest> \(available subcommands: (?P<commands>[^)]*)\))$",
        _unknown_command,
    ),
    (r"^Expected one of \{(.*)\}\.$", r"name a command: \1"),
)
"""What the argument parser says, and what we say."""


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
