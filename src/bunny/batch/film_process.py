"""The process of a film in a batch: `bunny run`, which stops when its parent goes.

The parent holds the other end of standard input. When that ends, because the parent closed it or
died, the run is interrupted as by Ctrl-C and keeps what it has. Until then the process says every
few seconds how far it is, in the record that the parent made (`film_record`).
"""

from __future__ import annotations

import _thread
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

from bunny.core import exit_code

VARIABLE = "BUNNY_STOPS_WITH_PARENT"  # in the environment of such a process
RECORD = "BUNNY_FILM_RECORD"  # and the path of its record, if it has one
STOP_S = 30.0  # in which it has to stop by itself
STANDARD_INPUT = 0  # read bare: Python aborts at its end while a thread waits in sys.stdin


def watch_parent() -> None:
    """Interrupt this process once standard input ends; does nothing outside a batch."""
    record = os.environ.pop(RECORD, "")
    if os.environ.pop(VARIABLE, ""):
        is_alone = threading.Event()
        threading.Thread(target=_wait, args=(is_alone,), name="parent", daemon=True).start()
        if record:
            threading.Thread(
                target=_tell, args=(Path(record), is_alone), name="record", daemon=True
            ).start()


def _wait(is_alone: threading.Event) -> None:
    while os.read(STANDARD_INPUT, 64):  # nobody writes; it ends with the parent
        pass
    is_alone.set()
    if hasattr(signal, "pthread_kill"):  # wakes the main thread where it waits for others
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()
    time.sleep(STOP_S)
    os._exit(exit_code.STOPPED)


def _tell(path: Path, is_alone: threading.Event) -> None:
    """Renew the record until the parent is gone: from then on it is another worker's."""
    from bunny.batch import film_record
    from bunny.contract import progress

    known = film_record.read(path)
    while known is not None and not is_alone.wait(film_record.BEAT_S):
        if run := progress.current():
            at = run.snapshot()
            known = replace(
                known,
                stage=at.stage,
                stage_number=at.number,
                num_stages=at.count,
                share=at.share,
                seconds_left=at.seconds_left,
            )
        try:
            film_record.write(path, replace(known, seen_at=film_record.now(), process=os.getpid()))
        except OSError:
            continue  # a full disk: the film's own run says so
