"""The console: pages for people in a browser, with a password."""

from vtspolicy.web.console.site import make_console

__all__ = ["make_console"]
