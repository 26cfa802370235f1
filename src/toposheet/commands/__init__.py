from toposheet.commands._command import Command
from toposheet.registry import Registry

COMMANDS = Registry[Command]("toposheet.commands", "COMMAND", "command", entry=f"{__name__}:Command")

__all__ = ["COMMANDS", "Command"]
