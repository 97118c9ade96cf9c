"""The training data of an artifact, and how its pipeline is fitted on them and new rows again."""
