"""Live: sources -> frames at the training rate -> streams -> events, told as they happen."""
