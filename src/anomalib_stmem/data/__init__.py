"""In: videos with their labels and masks. Out: clips, in anomalib's datamodules."""
