"""The web interface: metrics, health and a reading API; what changes things is a socket's alone."""

from vtspolicy.control import Control, Refused, UnknownThing
from vtspolicy.web.control_socket import ControlSocket, look_for_server
from vtspolicy.web.site import make_site

__all__ = ["Control", "ControlSocket", "Refused", "UnknownThing", "look_for_server", "make_site"]
