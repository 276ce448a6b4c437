"""Queues: which waiting job may run next. One protocol, one suite, and a queue in the process."""
