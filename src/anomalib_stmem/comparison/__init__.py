"""``anomalib benchmark`` on video: STMem beside anomalib's own models, on the same frames and protocol."""
