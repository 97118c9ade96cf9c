"""How good a model is: its metrics, how they were measured, and the importance of each column."""
