"""In: a grid of anomalib models and videos. Out: one table, all models judged on the same frames."""
