"""SIGTERM before the server handles it. The system takes no default action for the first process of a container: it
would ignore the signal until the platform kills it."""

import os
import signal


def end_at_sigterm() -> None:
    """From now on SIGTERM ends this process at once, with the status that the system's default action gives. One that
    came while it was blocked counts. Nothing is lost: the database undoes a transaction that did not commit. A handler
    that is there, such as gunicorn's at a reload, stays."""
    if signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, signal.SIG_IGN):
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def keep_sigterm() -> None:
    """Blocks SIGTERM until `end_at_sigterm`, also in the program that replaces this one, so that none is lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
