"""Kinds of pipelines by name: what users put into a pipeline, each on the same made-up table or on the passengers."""
