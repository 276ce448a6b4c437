"""Kills server, keeper and applications, and proves that nothing was lost or doubled."""
