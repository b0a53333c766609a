"""Video, frames, labels, clips, datamodules."""
