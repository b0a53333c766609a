"""In: a trained model and frames. Out: a verdict for each frame, by torch, ONNX Runtime or OpenVINO."""
