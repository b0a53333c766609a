"""In: normal video of a camera, and some minutes. Out: a checkpoint that watches it."""
