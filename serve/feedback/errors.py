"""The store's own error."""

from __future__ import annotations

from model.errors import ThemewatchError


class StoreError(ThemewatchError):
    """The feedback store cannot be opened, read or written."""
