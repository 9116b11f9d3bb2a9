"""A media process that isn't running, as the tests of `sfu` have it."""

from tests.unit.sfu.conftest import chosen, process

__all__ = ["chosen", "process"]
