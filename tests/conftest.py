"""Makes this folder importable, so that every test can say `from strategies import events`."""

from hypothesis import settings

# A slow or busy machine must not turn a right answer into a failure.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")
