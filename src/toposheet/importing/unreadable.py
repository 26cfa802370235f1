"""The error of a file that cannot be imported. Where the file is known, its path is put before the message."""

from __future__ import annotations

from toposheet.errors import UserError


class Unreadable(UserError):
    """A file is damaged, or holds something that its format does not have. The message begins with a verb."""
