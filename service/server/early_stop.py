"""SIGTERM before the server handles it. The first process of a container gets no default action of the system, so without
a handler it would ignore the signal until the end of the platform's patience."""

import os
import signal


def end_at_sigterm() -> None:
    """From now on SIGTERM ends this process at once, with the status that the system's default action gives. One that
    came while it was blocked counts. Nothing is lost: the database undoes a transaction that did not commit."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def keep_sigterm() -> None:
    """Blocks SIGTERM until `end_at_sigterm`, also in the program that replaces this one, so that none is lost."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
