"""The links to hosts: listeners, sessions, and the outbox of notices."""
