"""What scores are worth: controls, AUROC with intervals, report, curves."""
