"""Many kinds of models, and how each is served."""
