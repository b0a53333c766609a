"""Small scenes and networks that every test may use."""

import os
from pathlib import Path

import pytest
import torch

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers are the parallelism; their waiting threads would fight
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)

from anomalib_stmem import write_scene

# A network and a run as small as they can be, as command line options and as arguments.
TINY_MODEL = {
    "image_size": (16, 16),
    "width": 2,
    "stem": 1,
    "memory_items": 3,
    "precision": "float32",
    "appearance": False,  # tests of looks ask for it: an enlarged frame costs more than all the rest
}
TINY_DATA = {"train_batch_size": 4, "train_clip_length": 6, "eval_batch_size": 8, "num_workers": 0}


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three normal and two abnormal videos of 24 frames, as folders of images."""
    root = tmp_path_factory.mktemp("scene")
    write_scene(root, num_training=3, num_testing=2, num_frames=24)
    return root
