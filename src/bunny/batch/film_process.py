"""The process of a film in a batch: `bunny run`, which stops when its parent goes.

The parent holds the other end of standard input. When that ends, because the parent closed it or
died, the run is interrupted as by Ctrl-C and keeps what it has.
"""

import _thread
import os
import signal
import threading
import time

VARIABLE = "BUNNY_STOPS_WITH_PARENT"  # in the environment of such a process
STOP_S = 30.0  # in which it has to stop by itself
STOPPED = 130
STANDARD_INPUT = 0  # read bare: Python aborts at its end while a thread waits in sys.stdin


def watch_parent() -> None:
    """Interrupt this process once standard input ends; does nothing outside a batch."""
    if os.environ.pop(VARIABLE, ""):
        threading.Thread(target=_wait, name="parent", daemon=True).start()


def _wait() -> None:
    while os.read(STANDARD_INPUT, 64):  # nobody writes; it ends with the parent
        pass
    if hasattr(signal, "pthread_kill"):  # wakes the main thread where it waits for others
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
    time.sleep(STOP_S)
    os._exit(STOPPED)
