"""The rules tables that come with the program, each with its rule tests."""
