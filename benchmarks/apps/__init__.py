"""The applications that the service is compared with."""
