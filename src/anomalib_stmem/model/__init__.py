"""Clips, streams, memory, prediction, score: tensors only."""
