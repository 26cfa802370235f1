from toposheet.commands._command import Command
from toposheet.registry import Registry

COMMANDS = Registry[Command]("toposheet.commands", "COMMAND", "command")

__all__ = ["COMMANDS", "Command"]
