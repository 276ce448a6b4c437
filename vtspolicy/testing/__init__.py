"""Fakes for tests of rules, hosts and the engine: a public part of the program."""
