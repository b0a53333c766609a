"""The metrics that every test of video runs, whatever the model."""

from anomalib.metrics import AUROC, Evaluator, F1Score

from .frame_metrics import AveragePrecision, EqualErrorRate, FalseAlarmsPerHour, VideoAUROC
from .pixel_metrics import AUPRO, PixelAUROC
from .region_metrics import RBDC, TBDC


def video_evaluator() -> Evaluator:
    """Make an evaluator of anomalib's frame AUROC and F1, and of ours by video, pixel, region and track.

    Scores are taken as the post-processor leaves them, unsmoothed and on one scale for all videos;
    ``per_video_VideoAUROC`` puts each whole test video on its own, the field's habit. Pixel metrics are binned, because
    exact ones keep every pixel in memory, and are left out where there are no masks.
    """
    return Evaluator(
        test_metrics=[
            AUROC(fields=["pred_score", "gt_label"], prefix="image_"),
            F1Score(fields=["pred_label", "gt_label"], prefix="image_"),
            VideoAUROC(average="macro", prefix="macro_"),
            VideoAUROC(average="padded", prefix="padded_macro_"),
            VideoAUROC(normalisation="per_video", prefix="per_video_"),
            AveragePrecision(prefix="image_"),
            EqualErrorRate(prefix="image_"),
            FalseAlarmsPerHour(),
            PixelAUROC(strict=False),
            F1Score(fields=["pred_mask", "gt_mask"], prefix="pixel_", strict=False),
            AUPRO(prefix="pixel_", strict=False),
            RBDC(strict=False),
            TBDC(strict=False),
        ]
    )
