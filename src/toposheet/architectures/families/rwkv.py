"""RWKV, a recurrent model. It reads texts of any length.

Its configuration names the length of the texts in training, which is not a limit.
"""

from __future__ import annotations

from typing import Any

from toposheet.architectures.architecture import Architecture, no_limit


def opened(model: Any) -> None:
    """Let a model keep its weights when it is evaluated.

    With `rescale_every`, evaluation divides the weights of later blocks by powers of two, in place, so that float16
    does not overflow. A model that is saved in this state is wrong when it is read again.
    """
    model.config.rescale_every = 0


FAMILY = Architecture(context=no_limit, opened=opened)
