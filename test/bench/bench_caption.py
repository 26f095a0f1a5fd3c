"""Captions of a served model under faults and kills: what is lost, paid twice, and how fast.

A server of its own answers as OpenAI does, with faults on a schedule: of each ten requests two go
wrong (429 with and without Retry-After, 500, 529, reset, half a JSON, garbage, a late answer). The
run is killed (SIGKILL) several times and started again until all is answered.

    python test/bench/bench_caption.py --requests 10000 --kills 5 --rate 200
"""

import argparse
import collections
import contextlib
import http.server
import json
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

BESIDE = Path(__file__).parents[1] / "caption"
service = SimpleNamespace(**runpy.run_path(str(BESIDE / "service.py")))
Reply = service.Reply
FAULTS = service.faults(1, 0.5)
IN_FLIGHT = 32
LATENCY_S = 0.05  # of an answer


class Ledger:
    """Which pictures were answered with a caption, and how many requests there were."""

    def __init__(self, share):
        self.share, self.count = share, 0
        self.answered = collections.Counter()
        self.lock = threading.Lock()

    def reply(self, number):
        """A fault for `share` of the requests, evenly; otherwise a caption."""
        with self.lock:
            self.count += 1
            is_fault = int(self.count * self.share) > int((self.count - 1) * self.share)
            chosen = FAULTS[int(self.count * self.share) % len(FAULTS)] if is_fault else Reply()
            if chosen.status == 200 and chosen.text == service.GOOD and not chosen.is_reset:
                self.answered[number] += chosen.body is None
            return chosen


@contextlib.contextmanager
def serve(ledger):
    """A server that keeps no bodies; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            raw = self.rfile.read(int(self.headers["content-length"]))
            reply = ledger.reply(int(raw.partition(b"picture-number ")[2][:5]))
            time.sleep(LATENCY_S + reply.delay_s)
            if reply.is_reset:
                self.close_connection = True
                self.connection.close()
                return
            answer = (
                reply.body if reply.body is not None else service._openai({"model": "m"}, reply)
            )
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            with contextlib.suppress(ConnectionError):
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *args: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def work(url, folder, count, rate, memory):
    """One run over all questions, in a process of its own; answers are kept in `folder`."""
    import psutil

    from bunny.caption import limit, program
    from bunny.caption.answer import AnswerStore, CaptionQuestion, question_key
    from bunny.caption.fallback import FallbackChain, ProviderEntry
    from bunny.caption.provider import ServedModel
    from bunny.core.config import Config

    limit.FIRST_PAUSE_S = 0.1
    local = {"model": "seer", "endpoint_url": f"{url}/v1", "requests_per_minute": rate * 60}
    own = {"local": local, "batch_size": IN_FLIGHT, "max_retries": 8, "timeout_seconds": 20.0}
    config = Config.model_validate({"captioning": {**own, "max_tokens": 120}})
    model = ServedModel(provider="local", captioning=config.captioning, aws=config.aws)
    answers = AnswerStore(Path(folder))

    def make(index):
        return CaptionQuestion(
            frame_id=f"f{index}",
            picture=b"\xff\xd8\xff" + bytes(30_000),
            facts=(f"picture-number {index:05d}",),
            names=("bunny",),
        )

    def keep(index, answer):
        row = {"frame_id": f"f{index}", "version": 1, "characters": [], "provider": "local"}
        answers.put(question_key([index]), answer, row)

    entry = ProviderEntry(
        name="local",
        load=lambda: program.Captioner(model),
        num_in_flight=IN_FLIGHT,
        breaker_s=1.0,
        kept=lambda index: answers.get(question_key([index])),
        keep=keep,
    )
    status = collections.Counter()
    for done, state in enumerate(FallbackChain([entry], make).ask(range(count))):
        status[state.answer.status] += 1
        if done % 250 == 0:
            memory.append((done, psutil.Process().memory_info().rss / 2**20))
    sys.stdout.write(f"run ended: {dict(status)}\n")


def run(count, kills, rate, share):
    """Serve, start, kill, start again; gives the figures."""
    ledger, context = Ledger(share), multiprocessing.get_context("spawn")
    memory = context.Manager().list()
    points = [count * (i + 1) // (kills + 1) for i in range(kills)]
    asking_s, num_runs, in_flight = 0.0, 0, set()
    with tempfile.TemporaryDirectory() as folder, serve(ledger) as url:
        kept = Path(folder) / "v2"
        while _num_kept(kept) < count and num_runs < kills + 10:
            del memory[:]
            process = context.Process(target=work, args=(url, folder, count, rate, memory))
            before = ledger.count
            process.start()
            num_runs += 1
            while ledger.count == before and process.is_alive():
                time.sleep(0.01)
            started = time.monotonic()
            while process.is_alive():
                time.sleep(0.2)
                if points and _num_kept(kept) >= points[0]:
                    points.pop(0)
                    os.kill(process.pid, signal.SIGKILL)
            asking_s += time.monotonic() - started
            process.join()
            time.sleep(0.7)  # the server ends what it was about
            if process.exitcode:
                in_flight |= set(ledger.answered) - _kept(kept, count)
        return _figures(ledger, _kept(kept, count), in_flight, asking_s, list(memory), rate)


def _num_kept(folder):
    return len(list(folder.glob("*.json")))


def _kept(folder, count):
    """Numbers of the pictures whose answers are on disk."""
    from bunny.caption.answer import AnswerStore, question_key

    answers = AnswerStore(folder.parent)
    return {i for i in range(count) if answers.get(question_key([i])) is not None}


def _figures(ledger, kept, in_flight, asking_s, memory, rate):
    twice = {number for number, times in ledger.answered.items() if times > 1}
    return {
        "kept": len(kept),
        "requests": ledger.count,
        "asking_s": round(asking_s, 1),
        "requests_per_second": round(ledger.count / asking_s, 1),
        "share_of_limit": round(ledger.count / asking_s / rate, 3),
        "answered_twice": len(twice - in_flight),
        "answered_twice_in_flight_at_a_kill": len(twice & in_flight),
        "memory_mb": [round(mb) for _, mb in memory][:: max(1, len(memory) // 8)],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--rate", type=int, default=200, help="requests a second")
    parser.add_argument("--share", type=float, default=0.2, help="faults among requests")
    args = parser.parse_args()
    figures = run(args.requests, args.kills, args.rate, args.share)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
