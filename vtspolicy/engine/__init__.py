"""The engine: what happens when. Its parts are put together in `assembly`."""
