"""A fitted pipeline as a program of instructions over columns, and the proof that both answer the same."""
