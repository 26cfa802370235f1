"""A command is declared whole, in this package or outside of it."""

import subprocess
import sys

import pytest

from toposheet.cli import main
from toposheet.commands import COMMANDS, Command
from toposheet.commands._command import deferred, group
from toposheet.errors import UserError


@deferred
def greet(name: str, times: int = 1) -> None:
    """Greet somebody.

    Args:
        name: Who is greeted.
        times: How often.
    """
    if times < 1:
        raise UserError(f"times is {times}: it must be at least 1")
    print(f"hello {name}\n" * times, end="")


@pytest.fixture
def commands():
    COMMANDS.register("greet", Command(position=15, parser=greet))
    COMMANDS.register("polite", Command(position=200, parser=group("Politeness.", greet=greet), goes_on=True))
    yield
    COMMANDS.unregister("greet")
    COMMANDS.unregister("polite")


def test_a_command_from_outside_is_listed_where_it_belongs_and_runs(ran, refused, commands):
    listed = ran("--help")
    assert listed.index("demo") < listed.index("greet") < listed.index("prepare" if "prepare" in listed else "train")
    assert "Greet somebody." in listed
    assert "How often." in ran("greet", "--help")
    assert ran("greet", "--name", "Kyoto", "--times", "2") == "hello Kyoto\n" * 2
    assert ran("polite", "greet", "--name", "Porto") == "hello Porto\n"
    assert "times is 0: it must be at least 1" in refused("greet", "--name", "Porto", "--times", "0")
    assert "did you mean --times?" in refused("greet", "--name", "Porto", "--tims", "2")
    assert "demo, greet, data, train," in refused("nonsense")


@pytest.mark.parametrize("goes_on", [True, False])
def test_an_interrupted_command_says_whether_it_goes_on(capsys, goes_on):
    @deferred
    def wait() -> None:
        """Wait for somebody to press Ctrl-C."""
        raise KeyboardInterrupt

    COMMANDS.register("wait", Command(position=300, parser=wait, goes_on=goes_on))
    try:
        with pytest.raises(SystemExit) as stop:
            main(["wait"])
    finally:
        COMMANDS.unregister("wait")
    assert stop.value.code == 130
    said = capsys.readouterr().err
    assert said == f"\ntoposheet: interrupted{'; run the same command again to continue' if goes_on else ''}\n"


def test_commands_are_listed_without_importing_them():
    code = (
        "import sys\nfrom toposheet.commands import COMMANDS\nnames = COMMANDS.names()\n"
        "assert {'demo', 'map', 'report', 'ledger'} <= set(names), names\n"
        "assert not {'toposheet.commands.' + name for name in names} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
