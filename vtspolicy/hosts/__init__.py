"""The links to hosts: doors, sessions on them, and the outbox of notices."""
