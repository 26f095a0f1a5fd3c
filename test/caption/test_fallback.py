"""The order of providers: who answers, why the others did not, and what is kept."""

import itertools
import threading
import time
from dataclasses import dataclass, field

import pytest

from bunny.caption.answer import CaptionAnswer, CaptionQuestion, ProviderStopped
from bunny.caption.fallback import FallbackChain, ProviderEntry
from bunny.core.error import UserError


@dataclass
class Scripted:
    """A provider that answers by the number of the picture."""

    say: dict = field(default_factory=dict)  # number: status or exception; otherwise done
    batch_size: int = 1
    delay_s: float = 0.0
    calls: list = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def caption_batch(self, questions):
        self.calls.append([int(q.frame_id) for q in questions])
        self.stopped.wait(self.delay_s)
        return [self._answer(int(q.frame_id)) for q in questions]

    def _answer(self, number):
        status = self.say.get(number, "done")
        if isinstance(status, Exception):
            raise status
        if status == "done":
            return CaptionAnswer(status="done", text=f"picture {number}", is_answered=True)
        return CaptionAnswer(
            status=status, error=f"{status} {number}", is_answered=status != "failed"
        )


def make(index):
    return CaptionQuestion(frame_id=str(index), picture=b"", facts=(), names=())


def entry(name, provider, kept=None, **more):
    answers = {} if kept is None else kept
    return ProviderEntry(
        name=name, load=lambda: provider, kept=answers.get, keep=answers.__setitem__, **more
    )


def run(entries, count, maker=make, **more):
    states = list(FallbackChain(entries, maker, **more).ask(range(count)))
    assert sorted(state.index for state in states) == list(range(count))
    return {state.index: state for state in states}


def test_the_first_that_answers_is_taken_and_the_row_says_why_others_were_not():
    cloud, own = Scripted({1: "refused", 2: "failed"}), Scripted({2: "refused"})
    states = run([entry("cloud", cloud), entry("own", own)], 3)
    assert [states[i].provider for i in range(3)] == ["cloud", "own", "own"]
    assert [states[i].answer.status for i in range(3)] == ["done", "done", "refused"]
    assert [states[i].reasons for i in range(3)] == [
        (),
        ("cloud: refused 1",),
        ("cloud: failed 2",),
    ]
    assert cloud.calls == [[0], [1], [2]]
    assert own.calls == [[1], [2]]


def test_what_was_answered_is_kept_before_it_counts_and_never_asked_again():
    first, second = {}, {}
    cloud, own = Scripted({1: "refused", 2: "failed"}), Scripted()
    entries = [entry("cloud", cloud, first), entry("own", own, second)]
    before = run(entries, 3)
    assert sorted(first) == [0, 1]  # a refusal was paid for; a failure was not
    assert sorted(second) == [1, 2]
    cloud.calls.clear(), own.calls.clear()
    cloud.say.clear()
    after = run(entries, 3)
    assert cloud.calls == [[2]]  # only that was never answered
    assert own.calls == []
    assert (after[1], after[0]) == (before[1], before[0])
    assert after[2].provider == "cloud"


def test_a_batch_holds_as_many_as_wait():
    own = Scripted(batch_size=4)
    run([entry("own", own)], 10)
    assert [len(call) for call in own.calls] == [1, 4, 4, 1]
    assert [number for call in own.calls for number in call] == list(range(10))


def test_nothing_is_loaded_when_all_is_kept():
    def refuse():
        raise UserError("no key")

    kept = {0: CaptionAnswer(status="done", text="a", is_answered=True)}
    only = ProviderEntry(name="cloud", load=refuse, kept=kept.get)
    assert run([only], 1)[0].answer.text == "a"


def test_a_provider_that_cannot_be_asked_ends_the_run_only_when_nobody_follows():
    broken = Scripted({0: UserError("the key was rejected")})
    with pytest.raises(UserError, match="the key was rejected"):
        run([entry("cloud", broken)], 3)
    own = Scripted()
    states = run([entry("cloud", broken), entry("own", own)], 3)
    assert {state.provider for state in states.values()} == {"own"}
    assert states[2].reasons == ("cloud: the key was rejected",)
    states = run([entry("cloud", broken)], 3, has_more=True)
    assert {state.answer.status for state in states.values()} == {"failed"}


def test_a_model_that_does_not_respond_is_asked_no_more():
    dead, own = Scripted(dict.fromkeys(range(20), "failed")), Scripted()
    states = run([entry("cloud", dead), entry("own", own)], 20)
    assert len(dead.calls) == 5
    assert all(state.provider == "own" for state in states.values())
    assert states[19].reasons == ("cloud: request skipped, the model is not responding: failed 4",)


def test_the_breaker_lets_some_through_after_a_while_and_returns():
    """Dead for five questions, open while ten go to the next, then asked again and well."""

    class Reviving(Scripted):
        def caption_batch(self, questions):
            self.say = dict.fromkeys(range(20), "failed") if len(self.calls) < 5 else {}
            return super().caption_batch(questions)

    class Slow(Scripted):
        def caption_batch(self, questions):
            time.sleep(0.05)
            return super().caption_batch(questions)

    cloud, own = Reviving(), Slow()

    def open_slowly(index):
        time.sleep(0.03)  # so that questions come over half a second
        return make(index)

    chain = [entry("cloud", cloud, breaker_s=0.25), entry("own", own)]
    states = run(chain, 30, open_slowly)
    by_cloud = [i for i, state in states.items() if state.provider == "cloud"]
    assert [call[0] for call in cloud.calls[:5]] == [0, 1, 2, 3, 4]
    assert len(by_cloud) >= 5
    assert min(by_cloud) > 5
    assert "the model is not responding: failed 4" in states[5].reasons[0]
    assert all(states[i].answer.status == "done" for i in range(30))


def test_a_failed_trial_opens_the_breaker_again():
    dead, own = Scripted(dict.fromkeys(range(40), "failed")), Scripted()

    def open_slowly(index):
        time.sleep(0.02)
        return make(index)

    run([entry("cloud", dead, breaker_s=0.2), entry("own", own)], 40, open_slowly)
    assert 5 < len(dead.calls) < 15  # five, then one after each pause


def test_one_call_alone_tries_a_model_that_did_not_respond():
    """Four threads fail within 50 ms; 0.2 s later one of them tries for 0.1 s, and so on."""
    lock, spans = threading.Lock(), []

    class Dead(Scripted):
        def caption_batch(self, questions):
            started = time.monotonic()
            time.sleep(0.1 if started - begun > 0.15 else 0.0)
            with lock:
                spans.append((started, time.monotonic()))
            return super().caption_batch(questions)

    def open_slowly(index):
        time.sleep(0.02)
        return make(index)

    begun = time.monotonic()
    dead = Dead(dict.fromkeys(range(200), "failed"))
    run([entry("cloud", dead, num_in_flight=4, breaker_s=0.2)], 200, open_slowly)
    trials = sorted(span for span in spans if span[0] - begun > 0.15)
    assert len(trials) >= 2
    assert all(one[1] <= two[0] for one, two in itertools.pairwise(trials))


def test_what_the_settings_allow_no_more_is_left_to_the_next():
    spent = Scripted({2: ProviderStopped("the limit is reached")})
    states = run([entry("cloud", spent)], 5)
    assert [states[i].answer.status for i in range(5)] == ["done", "done", *["failed"] * 3]
    assert states[4].answer.error == "the limit is reached"
    assert len(spent.calls) == 3


def test_a_picture_that_cannot_be_opened_fails_alone():
    def open_picture(index):
        if index == 1:
            raise ValueError("f1.jpg: expected a picture")
        return make(index)

    states = run([entry("own", Scripted(batch_size=3))], 4, open_picture)
    assert [states[i].answer.status for i in range(4)] == ["done", "failed", "done", "done"]
    assert states[1].answer.error == "f1.jpg: expected a picture"


def test_an_error_of_ours_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        run([entry("own", Scripted({2: ZeroDivisionError()}))], 4)


def test_many_are_in_flight_at_once():
    meeting = threading.Barrier(4)

    class Meeting(Scripted):
        def caption_batch(self, questions):
            meeting.wait(timeout=10)  # broken unless four are asked at the same time
            return super().caption_batch(questions)

    assert len(run([entry("cloud", Meeting(), num_in_flight=4)], 8)) == 8


def test_an_interrupt_ends_pauses_and_drops_what_was_not_sent():
    class Pausing(Scripted):
        def caption_batch(self, questions):
            self.delay_s = 60.0 if self.calls else 0.0
            return super().caption_batch(questions)

    slow = Pausing()
    answers = FallbackChain([entry("cloud", slow, num_in_flight=2)], make).ask(range(9))
    next(answers)
    started = time.monotonic()
    answers.close()
    assert time.monotonic() - started < 5
    assert len(slow.calls) <= 4
