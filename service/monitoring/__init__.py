"""How good the predictions are and what has drifted, computed from the log."""
