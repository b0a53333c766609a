"""The metrics that every test of video runs, whatever the model."""

from anomalib.metrics import AUROC, Evaluator
from anomalib.metrics import F1Score as PixelF1Score

from .event_curve import PER_HOUR
from .event_metrics import AlarmDelay, EventsFound, EventsFoundAt, F1Score, FalseAlarmsPerHour
from .frame_metrics import AveragePrecision, EqualErrorRate, VideoAUROC
from .pixel_metrics import AUPRO, PixelAUROC
from .region_metrics import RBDC, TBDC


def video_evaluator() -> Evaluator:
    """Make an evaluator of anomalib's frame AUROC, and of ours by event, video, pixel, region and track.

    Scores are taken as the post-processor leaves them, unsmoothed and on one scale for all videos;
    ``per_video_VideoAUROC`` puts each whole test video on its own, the field's habit. Pixel metrics are binned, because
    exact ones keep every pixel in memory, and are left out where there are no masks.
    """
    return Evaluator(
        test_metrics=[
            AUROC(fields=["pred_score", "gt_label"], prefix="image_"),
            F1Score(prefix="image_"),
            VideoAUROC(average="macro", prefix="macro_"),
            VideoAUROC(average="padded", prefix="padded_macro_"),
            VideoAUROC(normalisation="per_video", prefix="per_video_"),
            AveragePrecision(prefix="image_"),
            EqualErrorRate(prefix="image_"),
            EventsFound(),
            FalseAlarmsPerHour(),
            AlarmDelay(prefix="median_"),
            AlarmDelay(0.9, prefix="p90_"),
            *(EventsFoundAt(per_hour, prefix=f"{per_hour:g}_per_hour_") for per_hour in PER_HOUR),
            PixelAUROC(strict=False),
            PixelF1Score(fields=["pred_mask", "gt_mask"], prefix="pixel_", strict=False),
            AUPRO(prefix="pixel_", strict=False),
            RBDC(strict=False),
            TBDC(strict=False),
        ]
    )
