"""Chains of 1 to 8 repeaters over lossy links: delivered as the timers let it, and a dead station is named in time."""

import pytest
from chain_line import LONGEST_ACCESS_S, Chain, stations, with_loss
from hypothesis import given, settings
from hypothesis import strategies as st
from repeating import MAX_REPEATERS, REQUEST, TIMINGS, longest_s, measure, route, send

from mac import ProxyDone, ProxyOutcome

LONGEST_FRAME_S = 0.15 + LONGEST_ACCESS_S


@pytest.mark.parametrize("repeaters", range(MAX_REPEATERS + 1))
def test_without_losses_the_answer_takes_two_frames_for_every_link(repeaters):
    run = send(repeaters, 0.0, seed=repeaters)
    assert run.done.outcome is ProxyOutcome.RESPONSE
    assert run.done.response == REQUEST[:1] + REQUEST[:0:-1]
    retries = 1 if repeaters == 2 else 0  # there the source of the second hop may be impatient: 768 ms for five frames
    assert 2 * (repeaters + 2) <= run.frames <= 2 * (repeaters + 2) + retries
    assert run.time_s < run.frames * LONGEST_FRAME_S


@settings(max_examples=60)
@given(st.integers(1, MAX_REPEATERS), st.sampled_from(list(TIMINGS.values())), st.data())
def test_dead_station_is_named_within_the_time_the_timers_allow(repeaters, timing, data):
    dead = data.draw(st.integers(1, repeaters + 2), label="dead station")
    run = send(repeaters, 0.0, data.draw(st.integers(0, 10**6), label="seed"), dead, timing)
    assert run.done.dead_link == dead
    assert run.done.outcome is (ProxyOutcome.NO_ANSWER if dead == 1 else ProxyOutcome.LINK_FAILED)
    assert run.time_s <= longest_s(repeaters, dead, timing)


@settings(max_examples=60)
@given(st.integers(1, MAX_REPEATERS), st.floats(0.0, 0.4), st.data())
def test_over_lossy_links_a_report_never_points_beyond_the_dead_station(repeaters, loss, data):
    dead = data.draw(st.none() | st.integers(1, repeaters + 2), label="dead station")
    run = send(repeaters, loss, data.draw(st.integers(0, 10**6), label="seed"), dead)
    assert run.time_s <= route(repeaters).chosen_timing.source_limit(LONGEST_FRAME_S)
    assert run.done.outcome is not ProxyOutcome.REFUSED
    if dead is not None:
        assert not run.done.success
        assert 1 <= run.done.dead_link <= dead
    if run.done.outcome is ProxyOutcome.LINK_FAILED:
        assert 2 <= run.done.dead_link <= repeaters + 2
    if run.done.success:
        assert run.done.response == REQUEST[:1] + REQUEST[:0:-1]


@pytest.mark.parametrize(
    ("repeaters", "loss", "timing"), [(1, 0.2, "rule"), (3, 0.1, "rule"), (8, 0.05, "rule"), (5, 0.15, "lossy")]
)
def test_delivery_and_time_are_those_of_the_timer_arithmetic(repeaters, loss, timing):
    figures = measure(repeaters, loss, runs=50, seed=2, timing=TIMINGS[timing])
    assert figures.agree, figures
    assert figures.delivered > 0.7


@settings(max_examples=15)
@given(st.integers(1, 4), st.floats(0.0, 0.3), st.integers(0, 10**6))
def test_messages_one_after_the_other_never_get_the_answer_of_another(repeaters, loss, seed):
    chain = Chain(stations(repeaters + 3, seed), with_loss(loss, seed))
    answers = []
    for number in range(12):
        payload = bytes([5, number % 3, number])
        handle = chain.nodes[0].send_proxied(route(repeaters), payload, chain.now)
        chain.run(lambda handle=handle: any(isinstance(e, ProxyDone) and e.handle == handle for _, _, e in chain.events))
        (done,) = [e for _, _, e in chain.events if isinstance(e, ProxyDone) and e.handle == handle]
        if done.success:
            assert done.response == payload[:1] + payload[:0:-1]
            answers.append(number)
        chain.events.clear()
    assert answers or loss > 0.0


def test_every_station_is_left_without_anything_to_do():
    chain = Chain(stations(6), with_loss(0.3, 5))
    for _ in range(5):
        chain.nodes[0].send_proxied(route(3), REQUEST, chain.now)
    chain.run(400.0)
    assert len([e for _, _, e in chain.events if isinstance(e, ProxyDone)]) == 5
    assert all(node.next_timer() is None and node.frames_waiting == 0 for node in chain.nodes)
    assert all(not node._forwarder._under_way for node in chain.nodes)
