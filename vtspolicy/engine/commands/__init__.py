"""Commands from event to record: understood, located, decided, kept until there is room."""
