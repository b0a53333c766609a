"""In which order clips are read: shuffled enough to train on, and so that each worker decodes each frame once."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import DistributedSampler

SHUFFLED_FRAMES = 512  # span of video within which training clips are shuffled; what a worker must keep decoded


@dataclass(frozen=True)
class Share:
    """Which part of all clips a device takes: the ``rank``-th of ``devices`` consecutive ones."""

    devices: int = 1
    rank: int = 0
    repeat: bool = False  # some clips, so that all devices have as many; otherwise each clip is on one device
    seed: int | None = None  # that all devices draw with; torch's by default


class ClipOrder(DistributedSampler[int]):
    """Clip numbers in an order that decodes forwards.

    A ``DistributedSampler`` by name only: any other would be wrapped by Lightning in one that deals out clips one by
    one, so that every device decodes every video, and repeats some of them in tests.

    A ``DataLoader`` hands its k-th batch to worker ``k mod num_workers``. So the clips are cut into one run per worker,
    and the batches of the runs take turns: each worker goes through its own videos from start to end, at most two
    workers share a video, and without cache each frame is decoded once per epoch (of a video file that two workers
    share, its first part twice).

    To train, videos come in random order, and clips are shuffled within stretches of :data:`SHUFFLED_FRAMES` frames,
    which may span several videos. Where fewer clips are wanted than there are, whole stretches are left out at random,
    so that those that are left are of all the video. The order follows from torch's seed and the epoch, so a seed
    repeats it and all devices draw the same.

    Args:
        clips_of_video: number of clips of each video; clips are numbered video by video.
        clip_step: frames from one clip's start to the next one's.
        batch_size: of the loader.
        num_workers: of the loader.
        shuffle: whether to train (random) or to judge (in order).
        share: of this device.
        wanted: clips of an epoch on this device, at most.

    Raises:
        ValueError: there are fewer clips than devices.
    """

    def __init__(
        self,
        clips_of_video: Sequence[int],
        clip_step: int,
        batch_size: int,
        num_workers: int,
        shuffle: bool,
        share: Share = Share(),
        wanted: int | None = None,
    ) -> None:
        if sum(clips_of_video) < share.devices > 1:
            msg = f"{sum(clips_of_video)} clips cannot be shared by {share.devices} devices. Lower --trainer.devices."
            raise ValueError(msg)
        self._clips_of_video = torch.tensor(clips_of_video)
        self._stretch = max(batch_size, SHUFFLED_FRAMES // clip_step)
        self._batch_size, self._workers, self._shuffle = batch_size, max(1, num_workers), shuffle
        self._share = share
        total = sum(clips_of_video)
        self._total = total if wanted is None or not shuffle else min(total, wanted * share.devices)
        self._seed, self._epoch = torch.initial_seed() if share.seed is None else share.seed, 0
        self._given = 0  # clips that the next epoch leaves out

    def set_epoch(self, epoch: int) -> None:
        """Go on from an epoch; Lightning calls it."""
        self._epoch = epoch

    def go_on(self, epoch: int, given: int) -> None:
        """Begin in the middle of an epoch, after so many clips, where a training was stopped."""
        self._epoch, self._given = epoch, given

    def __len__(self) -> int:
        """Return the number of clips of an epoch on this device."""
        total, devices = self._total, self._share.devices
        more = self._share.repeat or self._share.rank < total % devices
        return total // devices + (total % devices > 0 and more)

    def __iter__(self) -> Iterator[int]:
        """Go through the clips once."""
        sequence, devices = self._sequence(), self._share.devices
        if self._share.repeat:
            sequence = torch.cat([sequence, sequence[: -len(sequence) % devices]])
        batches = sequence.tensor_split(devices)[self._share.rank].split(self._batch_size)
        clips = [clip for turn in _take_turns(len(batches), self._workers) for clip in batches[turn].tolist()]
        given, self._given = self._given, 0
        yield from clips[given:]

    def _sequence(self) -> torch.Tensor:
        clips = torch.arange(int(self._clips_of_video.sum())).split(self._clips_of_video.tolist())
        if not self._shuffle:
            return torch.cat(clips)
        draw = torch.Generator().manual_seed((self._seed + self._epoch) % 2**63)
        self._epoch += 1
        order = torch.randperm(len(clips), generator=draw)
        stretches = torch.cat([clips[video] for video in order]).split(self._stretch)
        if self._total < sum(len(stretch) for stretch in stretches):
            some = torch.randperm(len(stretches), generator=draw)[: math.ceil(self._total / self._stretch) + 1]
            stretches = [stretches[place] for place in some.sort().values]
        mixed = [stretch[torch.randperm(len(stretch), generator=draw)] for stretch in stretches]
        return torch.cat(mixed)[: self._total]


def _take_turns(count: int, workers: int) -> list[int]:
    """Order ``count`` batches so that every ``workers``-th ones are consecutive; the last one, often short, stays last.

    With 7 batches and 2 workers: 3 0 4 1 5 2 6, so one worker reads 3 4 5 6 and the other 0 1 2.
    """
    last = (count - 1) % workers  # the worker whose turn it is at the end
    runs: dict[int, range] = {}
    start = 0
    for worker in [*(worker for worker in range(workers) if worker != last), last]:
        length = len(range(worker, count, workers))
        runs[worker] = range(start, start + length)
        start += length
    return [runs[turn % workers][turn // workers] for turn in range(count)]
