"""Runs of backup applications: detached processes that outlive the server, and our own programs."""
