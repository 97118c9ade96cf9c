"""The application: `gunicorn app:app` serves it, `python app.py` runs the development server."""

import sys

from serialize import ArtifactError
from service.errors import ServiceError
from service.factory import create_app
from service.server.development_server import RequestHandler
from service.settings import Settings, SettingsError
from service.storage.connection import DatabaseError

try:
    settings = Settings.from_env()
    app = create_app(settings)
except (SettingsError, ArtifactError, DatabaseError, ServiceError) as error:
    sys.exit(f"The service cannot start. {error}")

if __name__ == "__main__":
    if app.extensions["swap"] is not None:
        app.extensions["swap"].start(seconds=0)
    app.run(
        settings.host,
        settings.port,
        debug=False,
        use_reloader="--debug" in sys.argv[1:],
        use_debugger=False,
        threaded=True,
        request_handler=RequestHandler,
    )
