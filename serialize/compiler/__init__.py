"""From a fitted pipeline to an ONNX graph in double precision, and the proof that both answer the same."""
