"""How fast arrays of predictions are answered: `python -m benchmarks arrays`."""
