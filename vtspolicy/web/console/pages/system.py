"""System: the server itself, what it is ready for, what needs a person, its settings."""

from vtspolicy.records import typed
from vtspolicy.status import Status
from vtspolicy.web.console.asking import Ask, Page, Server

_SETTINGS = (
    *("node", "ledger", "spool", "web", "control_group", "settle", "connections", "waiting"),
    *("retention", "notices_kept", "output", "scan", "cluster"),
)
"""Settings that are shown; none of them can hold a secret."""


async def system(server: Server, ask: Ask) -> Page:
    """Show the state of the server."""
    status = typed(await server.control.status(), Status)
    configuration = server.policy().configuration
    return Page(
        template="system.html",
        title="System",
        about={
            "status": status,
            "file": configuration.file,
            "vaults": {
                name: path
                for name, path in configuration.vaults.items()
                if ask.sight.sees_vault(name, configuration.hosts)
            },
            "listen": configuration.listen,
            "settings": {name: getattr(configuration, name) for name in _SETTINGS},
        },
    )
