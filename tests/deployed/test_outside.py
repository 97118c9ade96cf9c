"""Neither `dump` nor the service sends anything to another machine, or writes outside the given folders. strace shows
what libraries in C do, too."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.passengers import PROJECT, prediction
from tests.support.served import environment, serve

_CALLS = "connect,sendto,sendmsg,sendmmsg,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink"
_SENDS = re.compile(r"\b(?:connect|send\w+)\(.*sa_family=AF_INET")
_OPENS = re.compile(r'\bopen(?:at)?\([^"]*"([^"]+)", \S*(?:O_WRONLY|O_RDWR|O_CREAT)')
_CHANGES = re.compile(
    r'\b(?:creat|mkdir|mkdirat|rename|renameat2?|link|linkat|symlink)\([^"]*"([^"]+)"(?:.*, "([^"]+)")?'
)

_DUMP = """
import sys
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from serialize import dump, load
X, y = pd.DataFrame({"a": [float(i % 7) for i in range(60)]}), [i % 2 for i in range(60)]
dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y), X, y, sys.argv[1])
artifact = load(sys.argv[1])
artifact.verify_all()
assert artifact.compiled is not None
"""


class Watched:
    """A folder with a home, and a prefix for commands that records their system calls if strace can run here."""

    def __init__(self, folder: Path) -> None:
        self.home, self.temporary, self._trace = folder / "home", folder / "tmp", folder / "trace"
        for each in (self.home, self.temporary):
            each.mkdir()
        self.variables = {"HOME": str(self.home), "TMPDIR": str(self.temporary), "PYTHONDONTWRITEBYTECODE": "1"}
        traced = ("strace", "-f", "-qq", "-s", "1024", "-o", str(self._trace), "-e", f"trace={_CALLS}")
        can = shutil.which("strace") and not subprocess.run([*traced, "true"], check=False).returncode
        self.prefix = traced if can else ()

    def lines(self) -> Iterator[str]:
        """The recorded calls that did not fail."""
        if self.prefix:
            with self._trace.open(errors="replace") as trace:
                yield from (line for line in trace if " = -1 " not in line or "EINPROGRESS" in line)

    def sent(self) -> list[str]:
        """The calls that reach for another machine, look-ups of names included."""
        return [line for line in self.lines() if _SENDS.search(line)]

    def written(self, *allowed: Path) -> set[Path]:
        """What was created or opened for writing, except devices, shared memory and what is in the allowed folders."""
        names = [name for line in self.lines() for name in _names(line)]
        paths = {(PROJECT / name).resolve() for name in names} | set(self.home.rglob("*"))
        within = (Path("/dev"), self.temporary.resolve(), *(folder.resolve() for folder in allowed))
        return {path for path in paths if not any(path.is_relative_to(folder) for folder in within)}


def _names(line: str) -> list[str]:
    found = _OPENS.search(line) or _CHANGES.search(line)
    return [name for name in found.groups() if name] if found else []


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.mark.long  # strace slows the training down
def test_a_dump_writes_only_its_folder_and_calls_nobody(tmp_path: Path, watched: Watched) -> None:
    given = environment(**watched.variables, PYTHONPATH=str(PROJECT))
    out = tmp_path / "out"
    command = [*watched.prefix, sys.executable, "-c", _DUMP, str(out / "model")]

    subprocess.run(command, env=given, cwd=PROJECT, check=True, capture_output=True, timeout=110)

    assert not watched.sent()
    assert not watched.written(out)
    assert (out / "model" / "manifest.json").exists()


@pytest.mark.long  # strace slows the start down
def test_the_service_writes_only_its_database_and_calls_nobody(tmp_path: Path, watched: Watched) -> None:
    folder = tmp_path / "database"
    folder.mkdir()
    command = (*watched.prefix, "gunicorn", "app:app")
    with serve(tmp_path, f"sqlite:///{folder}/log.db", command, variables=watched.variables) as served:
        assert served.post("/predict", prediction(1)).status_code == 200
        assert served.session.get(served.url + "/metrics", timeout=60).status_code == 200

    assert not watched.sent()
    assert not watched.written(folder)


def test_the_import_of_onnxruntime_is_silent_without_a_home(watched: Watched) -> None:
    code = "import os; from serialize import load; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    given = environment(TMPDIR=str(watched.temporary))

    ran = subprocess.run(
        [sys.executable, "-c", code], env=given, cwd=PROJECT, check=True, capture_output=True, text=True, timeout=60
    )

    assert (ran.stdout, ran.stderr) == ("1\n", "")
