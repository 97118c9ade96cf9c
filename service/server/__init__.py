"""The gunicorn worker: bytes on sockets to WSGI calls and back."""
