"""LitServe with batching."""

import os
from typing import Any

import joblib
import litserve

from benchmarks.apps.row import probas_of
from benchmarks.passengers import training_rows


class Titanic(litserve.LitAPI):  # type: ignore[misc]
    """The pipeline behind POST /predict."""

    def setup(self, device: str) -> None:
        self._pipeline = joblib.load(os.environ["MODEL"])
        self._rows = training_rows()

    def decode_request(self, request: dict[str, Any]) -> dict[str, Any]:
        observation: dict[str, Any] = request["observation"]
        return observation

    def batch(self, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return inputs

    def predict(self, observations: list[dict[str, Any]]) -> list[float]:
        return probas_of(self._pipeline, self._rows, observations)

    def unbatch(self, output: list[float]) -> list[float]:
        return output

    def encode_response(self, output: float) -> dict[str, float]:
        return {"proba": output}


def main() -> None:
    """Serves until it is stopped."""
    server = litserve.LitServer(
        Titanic(max_batch_size=64, batch_timeout=0.005),
        accelerator="cpu",
        workers_per_device=int(os.environ["WORKERS"]),
    )
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")


if __name__ == "__main__":
    main()
