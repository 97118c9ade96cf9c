"""The gunicorn worker: from bytes on sockets to WSGI calls and back."""
