"""The environment of a process in which a library is not installed."""

# The first lines of the program of such a process.
WITHOUT_PYARROW = """
import sys

class Refusal:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refusal())
"""
