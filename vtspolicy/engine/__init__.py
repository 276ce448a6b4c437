"""The engine: what happens when. Its parts are put together in `assembly`."""

from vtspolicy.engine.engine import Engine

__all__ = ["Engine"]
