"""Real backup applications, set up for a test session: independent of vtspolicy."""
