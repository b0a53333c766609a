"""Judge training video once the network has learned it: far more normal video than what was held out.

Every device goes through the same frames, so all of them calibrate the same.
"""

import time

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..data.clips import ClipDataset
from ..data.labels import MOST_FRAMES, spread
from ..evaluation.calibration import CalibrationFrames, summary_of_maps
from ..evaluation.events import Timeline
from ..model.torch_model import STMemModel
from ..video.frame_rate import known_rates
from .batch import as_judged_batch, first_frames
from .learn_scene import Prepare, prepared

CLIP, BATCH = 16, 2  # frames of a clip and clips of a batch


@torch.no_grad()
def measure_training(
    network: STMemModel, clips: Dataset, prepare: Prepare, most: float = MOST_FRAMES
) -> CalibrationFrames | None:
    """Measure the frames of the training video; ``None`` where the dataset does not say which videos these are.

    Args:
        network: in evaluation mode.
        clips: the dataset that it was trained on.
        prepare: from frames in [0, 1] to what the network reads.
        most: frames to measure, about; of more video, stretches spread over all of it.
    """
    if not isinstance(clips, ClipDataset):
        return None
    window, device = network.window, next(network.parameters()).device
    stretches = spread(clips.videos, most)
    dataset = ClipDataset(stretches, "val", CLIP, frame_rate=clips.frame_rate, context=window)
    measurements, maps, places, rates, shares = [], [], [], [], []
    for batch in DataLoader(dataset, batch_size=BATCH, collate_fn=dataset.collate_fn):
        judged = as_judged_batch(batch, window)
        due = judged.judged[:, window:]
        result = network.judge(prepare(judged.image.to(device)), first_frames(judged))
        measurements.append(result.measurements[due].cpu())
        maps.append(summary_of_maps(result.anomaly_map[due][:, None]).cpu())
        places += list(zip(judged.video_name, judged.frames.tolist(), strict=True))
        rates += judged.frame_rate.tolist()
        shares += judged.share.tolist()
    numbers = {video: number for number, video in enumerate(dict.fromkeys(video for video, _ in places))}
    timeline = Timeline(
        np.array([numbers[video] for video, _ in places]),
        np.array([frame for _, frame in places]),
        known_rates(np.array(rates), "The hours behind the threshold"),
        np.array(shares),
        tuple(numbers),
    )
    return CalibrationFrames(torch.cat(measurements), torch.cat(maps), timeline)


@torch.no_grad()
def frames_in(seconds: float, network: STMemModel, clips: Dataset, prepare: Prepare) -> float:
    """Say how many frames can be judged in some seconds, as :func:`measure_training` judges them.

    Arguments as there; a clip is judged to see how long it takes.
    """
    if not np.isfinite(seconds):
        return seconds
    images = torch.cat([images for _, images in prepared(network, clips, prepare, 3)], dim=1)[:, :CLIP]
    network.judge(images, [0])  # the first one is slower
    began = time.monotonic()
    network.judge(images, [0])
    return max(0.0, seconds) * (images.shape[1] - network.window) / (time.monotonic() - began)
