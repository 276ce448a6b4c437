"""Restores, erases and deletes under fire, while a host writes to the tapes at any moment."""
