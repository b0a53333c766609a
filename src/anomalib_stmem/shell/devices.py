"""What anomalib leaves undone where several devices work on one run."""

from pathlib import Path

from lightning.pytorch import Trainer


def share_results_folder(trainer: Trainer) -> None:
    """Let all devices write into the folder of the first one; anomalib makes one per process, ``v0``, ``v1``, ..."""
    if trainer.world_size == 1:
        return
    own = Path(trainer.default_root_dir)
    shared = Path(trainer.strategy.broadcast(str(own)))
    trainer._default_root_dir = str(shared)  # type: ignore[attr-defined]  # noqa: SLF001  # there is no public way
    if own != shared and own.is_dir() and not any(own.iterdir()):
        own.rmdir()
    trainer.strategy.barrier()
    latest = shared.parent / "latest"
    if trainer.is_global_zero and latest.is_symlink() and latest.resolve() != shared.resolve():
        latest.unlink()
        latest.symlink_to(shared, target_is_directory=True)
