"""What a checkpoint may not be."""

from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from trained import calibrated

from anomalib_stmem import STMem
from anomalib_stmem.model.checkpoint import read_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    from lightning.pytorch import Trainer

    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False)
    trainer.strategy.connect(calibrated(appearance=False))
    trainer.save_checkpoint(tmp_path / "gate.ckpt")
    return tmp_path / "gate.ckpt"


def test_one_wrong_bit_of_a_weight_is_noticed(checkpoint: Path) -> None:
    data = bytearray(checkpoint.read_bytes())
    with ZipFile(checkpoint) as parts:
        largest = max((part for part in parts.infolist() if "/data/" in part.filename), key=lambda part: part.file_size)
    data[largest.header_offset + 200] ^= 1  # behind its name, in the weights
    checkpoint.write_bytes(data)
    torch.load(checkpoint, weights_only=True)  # which does not look
    with pytest.raises(ValueError, match=r"gate\.ckpt is damaged: the check sum of .*data/\d+ in it is wrong"):
        read_checkpoint(checkpoint)


def test_weights_that_are_not_finite_are_refused_by_us_and_by_lightning(checkpoint: Path) -> None:
    held = torch.load(checkpoint, weights_only=True)
    name = next(name for name in held["state_dict"] if name.startswith("model.") and "weight" in name)
    held["state_dict"][name].fill_(torch.nan)
    torch.save(held, checkpoint)
    with pytest.raises(ValueError, match=rf"gate\.ckpt: The weights {name} are not finite: the training has diverged"):
        read_checkpoint(checkpoint)
    with pytest.raises(ValueError, match="are not finite"):
        STMem.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True)
