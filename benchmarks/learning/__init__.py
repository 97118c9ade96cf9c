"""The simulations of the gate, and what a retraining costs the service."""
