"""EMS event listener and policy engine for the virtual tapes of NonStop hosts."""

__version__ = "0.2.0.dev0"
