"""XLNet, which works on (time, batch, units), and whose positions are relative: it reads texts of any length."""

from toposheet.architectures.architecture import Architecture, no_limit

FAMILY = Architecture(time_first=True, context=no_limit)
