"""In: what anomalib's trainer yields. Out: batches judged by STMem, its thresholds, and the files of a run."""
