"""The SQL of learning: jobs and workers, the labelled rows of the log, and scores by other models."""
