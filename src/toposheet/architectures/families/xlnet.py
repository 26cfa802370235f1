"""XLNet. The outputs of its modules have the shape (time, batch, units).

Its positions are relative, so it reads texts of any length.
"""

from toposheet.architectures.architecture import Architecture, no_limit

FAMILY = Architecture(time_first=True, context=no_limit)
