"""The command line: parse the arguments, call the command, exit. Large packages are imported only by commands."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence

import tyro

from toposheet.commands import COMMANDS
from toposheet.commands._command import ARGUMENTS
from toposheet.errors import RunError, UserError, did_you_mean
from toposheet.plugins import load_plugins
from toposheet.terminal import drop_output, make_printable
from toposheet.version import __version__

DONE, FAILED, MISTAKE, INTERRUPTED = 0, 1, 2, 130
PROGRAM = "toposheet"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 success, 2 a mistake of the user (one line on stderr), 130 Ctrl-C, 1 any other error.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    make_printable()
    try:
        _quiet()
        load_plugins()
        _parse(arguments)()
        sys.stdout.flush()
    except KeyboardInterrupt:
        name = arguments[0] if arguments else ""
        goes_on = "; run the same command again to continue" if name in COMMANDS and COMMANDS[name].goes_on else ""
        print(f"\n{PROGRAM}: interrupted{goes_on}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except RunError as error:
        _say(str(error))
        sys.exit(FAILED)
    except UserError as error:
        _say(_naming_options(str(error), arguments))
        sys.exit(MISTAKE)
    except OSError as error:
        # Without a path it may be a fault in toposheet.
        if error.filename is None and error.errno not in _SYSTEM_FAULTS:
            raise
        _say(str(error))
        sys.exit(FAILED if error.errno in _SYSTEM_FAULTS else MISTAKE)
    sys.exit(DONE)


# A full disk, or the reader of a pipe has ended.
_SYSTEM_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EPIPE)


def _naming_options(message: str, arguments: Sequence[str]) -> str:
    """Return an error message that names the given option (`--seed is -1`) instead of the argument in Python."""
    given = {argument.partition("=")[0].replace("_", "-") for argument in arguments}

    def option(match: re.Match[str]) -> str:
        name = f"--{match[1].replace('_', '-')}"
        return f"{name} is " if name in given else match[0]

    return re.sub(r"(?:^|(?<= and ))(\w+) is ", option, message)


def _say(message: str) -> None:
    """Print an error as one line on stderr."""
    rank = int(os.environ.get("RANK", "0"))
    if rank:  # process 0 prints first; torchrun then ends the other processes
        time.sleep(3)
    with contextlib.suppress(OSError):
        print(f"{PROGRAM}{f' (process {rank})' if rank else ''}: {' '.join(message.split())}", file=sys.stderr)
        sys.stderr.flush()
    drop_output()


def _parse(arguments: list[str]) -> Callable[[], None]:
    """Return the command that the arguments name, as a function without arguments."""
    if arguments[:1] == ["--version"]:
        print(f"{PROGRAM} {__version__}")
        sys.exit(DONE)
    in_order = sorted(COMMANDS.items(), key=lambda item: item[1].position)
    commands = {name: command.parser for name, command in in_order}
    _check_not_empty(arguments)
    _check_given_once(arguments)
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
                description="Train topographic language models, map them, and test what the maps mean.\n\n"
                f"{PROGRAM} COMMAND --help explains the options of a command. {PROGRAM} --version prints the version.",
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
                registry=ARGUMENTS,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(_one_line(errors.getvalue())) from None


def _check_given_once(arguments: Sequence[str]) -> None:
    """Refuse an option that is given twice, because only its last value would count.

    Raises:
        UserError: The message names the option.
    """
    options = [argument.partition("=")[0] for argument in arguments if argument.startswith("--")]
    if twice := [option for position, option in enumerate(options) if option in options[:position]]:
        raise UserError(f"{twice[0]} is given twice: give it once, with all its values after it")


def _check_not_empty(arguments: Sequence[str]) -> None:
    """Refuse an empty argument. The value of a shell variable that is not set is empty.

    Raises:
        UserError: An argument is empty. The message says which one.
    """
    for position, argument in enumerate(arguments):
        option, sign, value = argument.partition("=")
        is_option = sign and option.startswith("--")
        if (value if is_option else argument).strip():
            continue
        before = arguments[position - 1] if position else ""
        what = option if is_option else before if before.startswith("--") else f"argument {position + 1}"
        raise UserError(f"{what} is empty: write a value")


def _one_line(box: str) -> str:
    """Return the error in a box of the argument parser as one line, without the help texts of options."""
    plain = re.sub(r"\x1b\[[0-9;]*m|\[/?(?:bold|dim)\]", "", box)
    lines = [match[1].rstrip() for match in re.finditer(r"^│ (.*)│$", plain, re.MULTILINE)]
    if not lines:  # without frames, the box is a title, a line, and text that is indented by two columns
        lines = [line[2:].rstrip() for line in plain.splitlines()[2:]]
    rule = re.compile(r"\s*[─-]{5,}\s*")
    parts: list[list[str]] = [[]]
    for line in lines:
        if rule.fullmatch(line):
            parts.append([])
        else:
            parts[-1].append(line)
    complaint, *rest = parts
    # Lines with a deeper indent explain options.
    words = [line.strip() for line in complaint if not line.startswith(" " * 8)]
    for part in rest:
        if part and part[0].startswith("Perhaps you meant"):
            words.append(f"(did you mean {part[1].split()[0]}?)")
        elif part and part[0].startswith("Available subcommands"):
            words.append(f"({' '.join(line.strip() for line in part).replace('Available', 'available')})")
    # The parser made up this name.
    line = re.sub(r"^Error parsing \S*tyro-dummy\S*: ", "", " ".join(word for word in words if word))
    line = line.partition(" Got errors:")[0]  # what follows lists the error of each type in a union
    for pattern, replacement in _REWORDED:
        line = re.sub(pattern, replacement, line)
    return line or "the arguments cannot be read: see --help"


def _unknown_command(match: re.Match[str]) -> str:
    name, *_ = match["options"].split(", ")
    return f"Unrecognized command {name!r}.{did_you_mean(name, match['commands'].split(', '))}{match['rest']}"


def _unknown_choice(match: re.Match[str]) -> str:
    choices = sorted(re.findall(r"'([^']*)'", match["choices"]))
    wanted = f"{match['option']} is {match['value']}: it must be one of {', '.join(choices)}."
    return wanted + did_you_mean(match["value"].strip("'"), choices)


_KINDS = {
    "INT": "a whole number", "FLOAT": "a number", "PATH": "a path", "INT INT": "two whole numbers",
    "FLOAT FLOAT": "two numbers",
}  # fmt: skip


def _wrong_kind(match: re.Match[str]) -> str:
    words = [kind.strip("{}") for kind in match["kinds"].split("|")]
    kinds = [_KINDS.get(word, word.replace(",", " or ")) for word in words]
    return f"{match['option']} is {match['value']}: it must be {' or '.join(kinds)}"


_REWORDED: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)$", r"\1 is \2: it must be a whole number"),
    (r"^Error parsing (\S+): could not convert string to float: (.*)$", r"\1 is \2: it must be a number"),
    (r"^Error parsing (\S+): Could not find valid parse for arguments: \[(.*)\]$", r"\1 cannot be \2: see --help"),
    (
        r"^Error parsing (?P<option>\S+): no type matching (?P<kinds>.+?) could be instantiated from "
        r"\[(?P<value>.*)\]\.?$",
        _wrong_kind,
    ),
    (r"^Missing value for argument '(\S+)'\. Expected 1 .*$", r"\1 has no value: write a value after it"),
    (r"^Missing value for argument '(\S+)'\. Expected (\d+) .*$", r"\1 has too few values: write \2 values after it"),
    (
        r"^invalid choice (?P<value>.*) for argument '(?P<option>\S+)'\. Expected one of (?P<choices>\(.*\))\.$",
        _unknown_choice,
    ),
    (
        r"^Unrecognized options: (?P<options>[^-(][^(]*?)(?P<rest> \(available subcommands: (?P<commands>[^)]*)\))$",
        _unknown_command,
    ),
    (
        r"^Unrecognized or misplaced options: (--\S+) \(applied to toposheet ([\w -]+)\).*$",
        r"\2 has no option \1: toposheet \2 --help lists its options",
    ),
    (r"^Unrecognized options: (--\S+?)(?:, [^(]*)?( \(did you mean .*\))?$", r"there is no option \1: see --help\2"),
    (
        r"^Unrecognized options: ([^-\s,][^\s,]*)[^(]*$",
        r"the word \1 belongs to no option: see --help (an option that is on or off has no value: --NAME or --no-NAME)",
    ),
    (r"^Expected one of \{(.*)\}\.$", r"name a command: \1"),
)
"""Pairs of a pattern for a message of the argument parser, and the message that is printed instead."""


def _quiet() -> None:
    """Hide the progress bars and warnings of other libraries. Their errors are still shown. A warning is one line."""
    warnings.formatwarning = lambda message, *_, **__: f"{PROGRAM}: {' '.join(str(message).split())}\n"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it warns if it cannot save its list of fonts
    if "transformers" in sys.modules:  # if it is already imported, it no longer reads the environment
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()


if __name__ == "__main__":
    main()
