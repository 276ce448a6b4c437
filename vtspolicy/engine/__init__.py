"""The engine: wires the line from an event to its notices; the only place that knows every part."""

from vtspolicy.engine.engine import Engine

__all__ = ["Engine"]
