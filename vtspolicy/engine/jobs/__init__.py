"""Jobs from their turn to their end: attempts, their programs, time-outs of waits."""
