"""Jobs, retraining, the gate and the watch: how the model learns from its log."""
