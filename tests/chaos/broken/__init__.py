"""Services with a fault of their own, for the controls."""
