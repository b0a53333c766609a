"""In: scores and labels of frames. Out: metrics, tables beside the controls, and thresholds."""
