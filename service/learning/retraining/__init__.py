"""The steps of a retraining: read labelled rows, split them by time, fit candidates, choose one, and judge it."""
