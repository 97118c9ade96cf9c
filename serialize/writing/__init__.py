"""The steps that write an artifact, of a pipeline that the user fitted or of one that was fitted again."""
