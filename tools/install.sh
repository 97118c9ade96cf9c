#!/bin/sh
# Installs a lock file into the virtual environment VENV, and makes the environment first if it is missing:
#     VENV=.venv tools/install.sh requirements.txt
# It uses uv where uv is on the PATH, and pip otherwise. PYTHON names the Python; tools/find-python.sh does if it is unset.
set -eu
python="$VENV/bin/python"

if command -v uv >/dev/null 2>&1; then
    if [ ! -x "$python" ]; then
        PYTHON=${PYTHON:-$(tools/find-python.sh)}
        uv venv --quiet --allow-existing --no-python-downloads --python "$PYTHON" "$VENV"
    fi
    exec uv pip install --quiet --python "$python" --require-hashes -r "$1"
fi

if ! "$python" -c "import pip" 2>/dev/null; then # missing, or made by uv, which leaves pip out
    PYTHON=${PYTHON:-$(tools/find-python.sh)}
    "$PYTHON" -m venv "$VENV"
fi
exec "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$1"
