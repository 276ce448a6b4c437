"""The rules table: which command becomes which work, and why."""
