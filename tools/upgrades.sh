#!/bin/sh
# Runs the fast tests with the newest release of every dependency, pre-releases included, in an environment of its own.
# It reports and always succeeds: a break here is news about the next release of a library, not a fault of a change.
# Upper bounds in pyproject.toml hold here too; the report lists what they hold back.
cd "$(dirname "$0")/.." || exit 0
environment=.venv-upgrades
python="$environment/bin/python"

install() {
    PYTHON=${PYTHON:-$(tools/find-python.sh)}
    uv venv --quiet --clear --no-python-downloads --python "$PYTHON" "$environment" &&
        uv pip install --quiet --python "$python" --prerelease allow --upgrade -r pyproject.toml \
            -r requirements-model.in -r requirements-dev.in
}

if ! install; then
    echo "upgrades: FAILED, the newest releases cannot be installed together."
    exit 0
fi
echo "Newer than the lock file:"
uv pip freeze --python "$python" | sort >"$environment/installed"
sed -n 's/^\([a-z0-9.-]*==[^ ;]*\).*/\1/p' requirements-dev.txt | sort | comm -13 - "$environment/installed"
echo "Held back by an upper bound:"
uv pip list --python "$python" --outdated
if "$python" -m pytest -n 2 --dist worksteal -m "not alone and not long"; then
    echo "upgrades: passed, the fast tests pass with the newest releases."
else
    echo "upgrades: FAILED, a fast test fails with the newest releases; the lock files protect deployments."
fi
