"""A process ends with the one that started it, also if it was stopped."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.waiting import until

CHILD = (
    "import sys, time; from serialize.writing.parent import end_with; end_with(int(sys.argv[1])); "
    "print('ready', flush=True); time.sleep(600)"
)
PARENT = (
    "import os, subprocess, sys, time; "
    f"child = subprocess.Popen([sys.executable, '-c', {CHILD!r}, str(os.getpid())]); "
    "print(child.pid, flush=True); time.sleep(600)"
)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_stopped_process_ends_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        assert parent.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGSTOP)

        parent.kill()

        until(lambda: not child.is_running())


def test_a_process_whose_parent_has_ended_ends() -> None:
    ended = subprocess.run([sys.executable, "-c", CHILD, "1"], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert ended.stderr == "the process that started this one has ended\n"
