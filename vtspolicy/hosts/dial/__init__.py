"""Links that this program opens to hosts: transports, logon, display and command sessions."""
