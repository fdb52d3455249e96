"""The verdict on an attempt, the delay before the next one, and the `Retry-After` header."""

import math
import time
from collections.abc import Iterator
from typing import Final, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlmsg import RuleError
from mlmsg.policy import (
    Accept,
    Effect,
    Fail,
    Outcome,
    Retry,
    RetryPolicy,
    Timeouts,
    Verdict,
    retry_after,
)

POLICY: Final = RetryPolicy()
IN_TIME: Final = 0.0
FAIL: Final = Fail()
UNKNOWN: Final = Fail(unknown=True)

READS = (Effect.READ, Effect.UPLOAD)
PASSING = (408, 425, 429, 500, 502, 503, 504)
FINAL = (301, 302, 304, 307, 400, 401, 403, 404, 405, 409, 413, 418, 422)
FOR_GOOD = (501, 505, 511, 599)
SUCCESS = (200, 201, 202, 204, 206, 299)


def decide(
    effect: Effect,
    status: int | None,
    *,
    sent: bool = True,
    repeatable: bool = True,
    asked: float | None = None,
    attempt: int = 1,
    elapsed: float = IN_TIME,
    rand: float = 0.0,
) -> Verdict:
    outcome = Outcome(effect, status, sent, repeatable, asked)
    return POLICY.decide(outcome, attempt, elapsed, rand)


def kinds(verdict: Verdict) -> Verdict | type[Retry]:
    """Return the verdict, of a retry its type only."""
    return Retry if isinstance(verdict, Retry) else verdict


@pytest.mark.parametrize("status", SUCCESS)
@pytest.mark.parametrize("effect", Effect)
def test_every_2xx_is_accepted_whatever_else_holds(effect: Effect, status: int) -> None:
    assert decide(effect, status) == Accept()
    late = decide(effect, status, repeatable=False, asked=1e9, attempt=99, elapsed=1e9)
    assert late == Accept()


@pytest.mark.parametrize("status", PASSING)
@pytest.mark.parametrize("effect", READS)
def test_a_status_that_may_pass_is_tried_again(effect: Effect, status: int) -> None:
    assert kinds(decide(effect, status)) is Retry


@pytest.mark.parametrize("status", [*FINAL, *FOR_GOOD])
@pytest.mark.parametrize("effect", READS)
def test_a_status_that_stays_fails_at_once(effect: Effect, status: int) -> None:
    assert decide(effect, status) == FAIL
    assert decide(effect, status, asked=1.0) == FAIL


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "not sent"])
@pytest.mark.parametrize("effect", READS)
def test_a_network_failure_is_tried_again(effect: Effect, sent: bool) -> None:
    assert kinds(decide(effect, None, sent=sent)) is Retry


SENDS: Final[dict[str, tuple[int | None, bool, Verdict | type[Retry]]]] = {
    "no connection": (None, False, Retry),
    "failure after sending": (None, True, UNKNOWN),
    "429": (429, True, Retry),
    **{f"{status}": (status, True, FAIL) for status in (*FINAL, 408, 425)},
    **{f"{status}": (status, True, UNKNOWN) for status in (500, 502, 503, 504, *FOR_GOOD)},
}


@pytest.mark.parametrize(("status", "sent", "verdict"), SENDS.values(), ids=SENDS)
def test_a_send_is_repeated_only_on_proof(
    status: int | None, sent: bool, verdict: Verdict | type[Retry]
) -> None:
    assert kinds(decide(Effect.SEND, status, sent=sent)) == verdict


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize(
    ("status", "alternative", "repeatable", "attempt", "verdict"),
    [
        (401, True, True, 1, Retry(0.0)),
        (401, True, True, 99, Retry(0.0)),
        (401, True, False, 1, FAIL),
        (401, False, True, 1, FAIL),
        (400, True, True, 1, FAIL),
        (403, True, True, 1, FAIL),
        (200, True, True, 1, Accept()),
    ],
)
def test_after_a_401_anything_goes_out_in_another_way_if_there_is_one(
    effect: Effect, status: int, alternative: bool, repeatable: bool, attempt: int, verdict: Verdict
) -> None:
    """At once, whatever the number of attempts; that it is once is the session's to see to."""
    outcome = Outcome(effect, status, repeatable=repeatable, alternative=alternative)
    assert POLICY.decide(outcome, attempt, 1e9, 1.0) == verdict


@pytest.mark.parametrize("status", [None, 500, 503])
def test_a_send_that_may_have_arrived_stays_unknown_to_the_end(status: int | None) -> None:
    for attempt in (1, POLICY.attempts, 99):
        late = decide(Effect.SEND, status, attempt=attempt, elapsed=1e9, asked=1e9)
        assert late == UNKNOWN


@pytest.mark.parametrize("status", [None, 429])
def test_a_send_that_was_never_executed_is_no_unknown_outcome(status: int | None) -> None:
    assert decide(Effect.SEND, status, sent=False, attempt=POLICY.attempts) == FAIL


@pytest.mark.parametrize("status", [None, 429, 503])
@pytest.mark.parametrize("effect", READS)
def test_a_body_that_cannot_be_produced_again_is_not_retried(
    effect: Effect, status: int | None
) -> None:
    assert decide(effect, status, repeatable=False) == FAIL


RETRIED: Final = [
    *((effect, status, True) for effect in READS for status in (None, *PASSING)),
    (Effect.SEND, 429, True),
    (Effect.SEND, None, False),
]
"""Everything that is tried again as long as attempts, deadline and the server's wish allow."""


@pytest.mark.parametrize(("effect", "status", "sent"), RETRIED)
@pytest.mark.parametrize(
    ("attempt", "asked", "elapsed", "again"),
    [
        (1, None, 0.0, True),
        (3, None, 0.0, True),
        (4, None, 0.0, False),
        (5, None, 0.0, False),
        (1, 0.0, 0.0, True),
        (1, 60.0, 0.0, True),
        (1, 60.001, 0.0, False),
        (1, 1e9, 0.0, False),
        (1, math.inf, 0.0, False),
        (4, 1.0, 0.0, False),
        (1, None, 299.75, True),
        (1, None, 299.76, False),
        (1, None, 300.0, False),
        (1, 50.0, 250.0, True),
        (1, 50.0, 250.001, False),
    ],
)
def test_tries_are_bounded_by_number_deadline_and_wait(
    effect: Effect,
    status: int | None,
    sent: bool,
    attempt: int,
    asked: float | None,
    elapsed: float,
    again: bool,
) -> None:
    verdict = decide(effect, status, sent=sent, attempt=attempt, asked=asked, elapsed=elapsed)
    assert kinds(verdict) == (Retry if again else FAIL)


def test_one_attempt_never_repeats_and_no_deadline_never_ends() -> None:
    outcome = Outcome(Effect.READ, 503)
    assert RetryPolicy(attempts=1).decide(outcome, 1, 0.0, 0.0) == FAIL
    assert kinds(RetryPolicy(deadline=None).decide(outcome, 1, 1e12, 0.0)) is Retry


@pytest.mark.parametrize(
    ("attempt", "rand", "delay"),
    [(1, 0.0, 0.25), (1, 1.0, 0.5), (2, 0.0, 0.5), (2, 1.0, 1.0), (3, 0.5, 1.5), (5, 1.0, 8.0),
     (6, 1.0, 8.0), (6, 0.0, 4.0), (10**6, 1.0, 8.0)],
)  # fmt: skip
def test_waits_double_up_to_the_cap_and_half_of_each_is_drawn(
    attempt: int, rand: float, delay: float
) -> None:
    patient = RetryPolicy(attempts=10**9)
    assert patient.decide(Outcome(Effect.READ, 503), attempt, 0.0, rand) == Retry(delay)


def test_without_a_base_nothing_but_the_servers_wish_is_waited_for() -> None:
    at_once = RetryPolicy(base=0.0)
    assert at_once.decide(Outcome(Effect.READ, 503), 1, 0.0, 1.0) == Retry(0.0)
    asked = Outcome(Effect.READ, 429, retry_after=7.0)
    assert at_once.decide(asked, 1, 0.0, 1.0) == Retry(7.0)


@given(
    base=st.floats(0, 100),
    cap=st.floats(0, 100),
    attempt=st.integers(1, 10_000),
    asked=st.none() | st.floats(0, 1000),
    rand=st.floats(0, 1),
)
def test_a_wait_is_never_under_the_servers_and_never_over_it_by_more_than_the_cap(
    base: float, cap: float, attempt: int, asked: float | None, rand: float
) -> None:
    policy = RetryPolicy(10**9, base, cap, max_retry_after=1000, deadline=None)
    verdict = policy.decide(Outcome(Effect.READ, 429, retry_after=asked), attempt, 0.0, rand)
    assert isinstance(verdict, Retry)
    least = asked or 0.0
    assert least <= verdict.delay <= least + cap


@given(st.floats(0, 60), st.floats(0, 400), st.floats(0, 1), st.integers(1, 4))
def test_no_attempt_begins_after_the_deadline(
    asked: float, elapsed: float, rand: float, attempt: int
) -> None:
    verdict = decide(Effect.READ, 503, asked=asked, elapsed=elapsed, rand=rand, attempt=attempt)
    assert verdict == FAIL or (isinstance(verdict, Retry) and elapsed + verdict.delay <= 300.0)


NOW: Final = 784111767.0
"""Ten seconds before Sun, 06 Nov 1994 08:49:37 GMT."""

HEADERS: Final[dict[str, tuple[str | None, float | None]]] = {
    "missing": (None, None),
    "zero": ("0", 0.0),
    "seconds": ("120", 120.0),
    "spaces": ("  5\t", 5.0),
    "leading zero": ("007", 7.0),
    "fraction": ("1.5", 1.5),
    "small fraction": ("0.001", 0.001),
    "nine digits": ("999999999", 999999999.0),
    "ten digits": ("9999999999", 9999999999.0),
    "twenty digits": ("9" * 20, 1e20),
    "negative": ("-5", None),
    "signed": ("+5", None),
    "empty": ("", None),
    "blank": ("   ", None),
    "nan": ("nan", None),
    "inf": ("inf", None),
    "minus infinity": ("-Infinity", None),
    "exponent": ("1e3", None),
    "underscore": ("1_000", None),
    "comma": ("1,5", None),
    "hexadecimal": ("0x10", None),
    "fullwidth digits": ("\uff11\uff12", None),
    "word": ("soon", None),
    "unit": ("5 seconds", None),
    "date ahead": ("Sun, 06 Nov 1994 08:49:37 GMT", 10.0),
    "date now": ("Sun, 06 Nov 1994 08:49:27 GMT", 0.0),
    "date past": ("Sun, 06 Nov 1994 08:48:37 GMT", 0.0),
    "date long past": ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
    "date with an offset": ("Sun, 06 Nov 1994 04:49:37 -0400", 10.0),
    "date of RFC 850": ("Sunday, 06-Nov-94 08:49:37 GMT", 10.0),
    "date of asctime": ("Sun Nov  6 08:49:37 1994", 10.0),
    "date without a zone": ("Sun, 06 Nov 1994 08:49:37", 10.0),
    "date of an unknown zone": ("Sun, 06 Nov 1994 08:49:37 -0000", 10.0),
    "date that is none": ("Mon, 99 Foo 2020 99:99:99 GMT", None),
    "date beyond the calendar": ("Fri, 31 Dec 99999 23:59:59 GMT", None),
    "ISO date": ("1994-11-06T08:49:37Z", None),
}


@pytest.fixture(params=["UTC", "CST6"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a test in two time zones, because HTTP dates are GMT everywhere."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


@pytest.mark.parametrize(("value", "seconds"), HEADERS.values(), ids=HEADERS)
def test_a_retry_after_header_is_read(zone: str, value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@given(st.text() | st.text("0123456789.,:-+ GMTSunNov/eE", max_size=40))
@example("9" * 5000)
@example("Fri, 31 Dec 9999 23:59:59 -9999")
@example("Sat, 01 Jan 0001 00:00:00 +2359")
def test_no_header_raises_or_asks_for_what_cannot_be_waited_for(value: str) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("name", ["connect", "read", "write", "total"])
@pytest.mark.parametrize("value", [0, 0.0, -1, -0.001, math.nan, math.inf, -math.inf])
def test_a_timeout_of_nothing_is_refused_by_name_and_value(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"`{name}`: found {value!r}"):
        Timeouts(**{name: value})


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_seconds_without_progress_are_over_0(value: float) -> None:
    with pytest.raises(ValueError, match="allowed: seconds over 0, or None"):
        Timeouts.from_value(value)


def test_seconds_bound_each_phase_and_never_the_whole() -> None:
    assert Timeouts.from_value(5.0) == Timeouts(connect=5.0, read=5.0, write=5.0, total=None)
    assert Timeouts.from_value(None) == Timeouts(connect=None, read=None, write=None, total=None)
    assert Timeouts().total is None
    own = Timeouts(connect=1, total=9)
    assert Timeouts.from_value(own) is own


@pytest.mark.parametrize("value", [True, False, 0, -1, 1.0, "2", None])
def test_attempts_are_an_int_of_1_or_more(value: object) -> None:
    with pytest.raises(RuleError, match=r"`attempts` of a retry policy: found .*an int of 1 or"):
        RetryPolicy(attempts=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["base", "cap", "max_retry_after", "deadline"])
@pytest.mark.parametrize("value", [True, -1, math.nan, math.inf, "1"])
def test_delays_are_seconds_of_0_or_more(name: str, value: float) -> None:
    with pytest.raises(RuleError, match=rf"`{name}` of a retry policy: found .*seconds, 0 or more"):
        RetryPolicy(**{name: value})  # type: ignore[arg-type]


def test_the_table_knows_every_effect_and_verdict() -> None:
    assert set(Effect) == {*READS, Effect.SEND}
    assert set(get_args(Verdict)) == {Accept, Fail, Retry}
