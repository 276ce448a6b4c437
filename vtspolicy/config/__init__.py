"""The configuration: what the site allows, loaded with the position of every value."""
