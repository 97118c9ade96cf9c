"""Makes an artifact of the three files of the original app: columns.json, dtypes.pickle and pipeline.pickle."""
