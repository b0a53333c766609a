"""In: clips or frames as tensors. Out: predictions, anomaly maps and scores. Torch only."""
