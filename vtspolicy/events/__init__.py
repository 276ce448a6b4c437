"""Bytes from a host become events: the display of a distributor, JSON lines, or syslog."""
