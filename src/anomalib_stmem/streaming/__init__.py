"""Frame by frame: one frame and the state in, score, map and the new state out."""
