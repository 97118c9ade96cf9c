"""HTTP requests to calls of the service, and results to responses."""
