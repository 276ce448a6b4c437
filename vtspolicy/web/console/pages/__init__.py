"""The pages of the console, one module each: they ask, and hand what they got to a template."""
