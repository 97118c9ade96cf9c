"""MLflow's scoring server. It serves only models that MLflow itself saved, so its start-up time holds the saving."""

import os
import sys

import joblib
import mlflow.sklearn


def main() -> None:
    """Saves the pipeline into the working folder and becomes the server."""
    pipeline = joblib.load(os.environ["MODEL"])
    mlflow.sklearn.save_model(
        pipeline, "model", pyfunc_predict_fn="predict_proba", pip_requirements=[], serialization_format="cloudpickle"
    )
    options = ["--env-manager=local", "--host=127.0.0.1", f"--port={os.environ['PORT']}"]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri=model", *options]
    os.execv(sys.executable, [*command, f"--workers={os.environ['WORKERS']}"])


if __name__ == "__main__":
    main()
