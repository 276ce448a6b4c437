"""What the engine does with tapes: the facts and the evidence, and the acts that rely on them."""
