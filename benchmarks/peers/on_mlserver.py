"""MLServer with its scikit-learn runtime and adaptive batching, from the two settings files that it asks for."""

import json
import os
import socket
import sys
from pathlib import Path


def main() -> None:
    """Writes the settings into the working folder and becomes the server."""
    server = {
        "host": "127.0.0.1",
        "http_port": int(os.environ["PORT"]),
        "grpc_port": _free_port(),
        "metrics_port": _free_port(),
        "parallel_workers": int(os.environ["WORKERS"]),
        "debug": False,
    }
    model = {
        "name": "titanic",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "max_batch_size": 64,
        "max_batch_time": 0.005,
        "parameters": {"uri": os.environ["MODEL"], "content_type": "pd"},
    }
    Path("settings.json").write_text(json.dumps(server))
    Path("model-settings.json").write_text(json.dumps(model))
    program = str(Path(sys.executable).with_name("mlserver"))
    os.execv(program, [program, "start", "."])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
