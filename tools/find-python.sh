#!/bin/sh
# Prints the Python to make the virtual environment with: the version in .python-version if it is installed, otherwise
# the newest supported version. Fails with one sentence when there is none.
wanted=$(cat "$(dirname "$0")/../.python-version")
versions="$wanted $(printf '3.14\n3.13\n3.12\n3.11\n' | grep -vx "$wanted")"

# A virtual environment does not count: it may be the one that make replaces. A pyenv shim without its version fails.
is_version() {
    "$1" -c "import sys; sys.exit(sys.version_info[:2] != (${2%.*}, ${2#*.}) or sys.prefix != sys.base_prefix)" \
        >/dev/null 2>&1
}

# Without uv, Python must be able to make an environment with pip in it; Debian's python3 cannot without python3-venv.
has_uv=$(command -v uv)
can_make_venv() {
    [ -n "$has_uv" ] || "$1" -c "import ensurepip, venv" >/dev/null 2>&1
}

for version in $versions; do
    IFS=:
    for folder in $PATH; do
        for name in "python$version" python3 python; do
            python="$folder/$name"
            if [ -x "$python" ] && is_version "$python" "$version" && can_make_venv "$python"; then
                echo "$python"
                exit 0
            fi
        done
    done
    unset IFS
    if [ -n "$has_uv" ]; then # it also finds the versions that it has installed itself
        python=$(uv python find --system --no-python-downloads "$version" 2>/dev/null)
        if [ -n "$python" ] && is_version "$python" "$version"; then
            echo "$python"
            exit 0
        fi
    fi
done
echo "No Python from 3.11 to 3.14 was found; install Python $wanted, or name one: make PYTHON=/path/to/python3." >&2
exit 1
