"""Finding nodes that were not announced, and giving them an address, on a shared line in virtual time."""

import pytest

from mac import (
    Broadcast,
    DomainChanged,
    DomainEntry,
    NodeState,
    RequestReceived,
    ResponseReceived,
    StateChanged,
    SubnetNode,
    TransactionDone,
    UniqueId,
    WasReset,
)
from mac import management as m

COMMISSIONED = m.SetNodeMode(m.NodeMode.CHANGE_STATE, NodeState.CONFIGURED)


def discover(line, now, **options):
    options = {"max_responses": 20, "retries": 1, "transmit_time": 2.0, **options}
    return line.nodes[0].send_request(Broadcast(), m.QueryId().encode(), now, **options)


def found_ids(line):
    return [m.IdReport.decode(event.apdu).unique_node_id for event in line.of(0, ResponseReceived)]


@pytest.mark.parametrize("seed", range(5))
def test_unconfigured_nodes_answer_a_broadcast_spread_by_its_backlog(make_node, make_line, seed):
    """Five meters, one query announcing 15 answers: nearly all come without collision, all are found by the retry."""
    line = make_line([make_node(100, seed=seed), *(make_node(i, address=False, seed=seed) for i in range(1, 6))])
    handle = discover(line, 0.0)
    line.run(15.0)
    assert sorted(found_ids(line)) == sorted(node.config.unique_node_id for node in line.nodes[1:])
    assert line.of(0, TransactionDone) == [TransactionDone(handle, True, 2, 5)]
    first_round = [f for f in line.log if f.sender and f.start < line.log[0].end + 2.0]
    assert max(f.start for f in first_round) - min(f.start for f in first_round) > 0.3
    assert {event.source for event in line.of(0, ResponseReceived)} == {SubnetNode(0, 0)}


def test_repeated_query_reports_each_node_once(make_node, make_line):
    line = make_line([make_node(100), make_node(1, address=False), make_node(2, address=False)])
    discover(line, 0.0, retries=3)
    line.run(20.0)
    answers = [frame for frame in line.log if frame.sender]
    assert len(answers) == 8, "stored answers come again at each try"
    assert len(found_ids(line)) == 2


def test_each_answer_prolongs_the_wait_for_the_next(make_node, make_line):
    line = make_line([make_node(100), make_node(1, address=False)])
    discover(line, 0.0, retries=0, transmit_time=0.8)
    line.run(20.0)
    (answer,) = [frame for frame in line.log if frame.sender]
    assert line.of(0, TransactionDone)[0].success
    waited_until = answer.end + 0.8
    assert waited_until > line.log[0].end + 0.8


def test_configured_nodes_are_silent(make_node, make_line):
    line = make_line([make_node(100), make_node(1), make_node(2, address=False)])
    discover(line, 0.0)
    line.run(15.0)
    assert found_ids(line) == [line.nodes[2].config.unique_node_id]


def test_query_ends_when_all_expected_answers_came(make_node, make_line):
    line = make_line([make_node(100), make_node(1, address=False), make_node(2, address=False)])
    discover(line, 0.0, max_responses=2, retries=3)
    line.run(20.0)
    assert len([frame for frame in line.log if frame.sender == 0]) == 1


def test_node_is_commissioned_by_its_unique_id_and_then_serves_its_address(make_node, make_line):
    line = make_line([make_node(100), make_node(7, address=False)])
    concentrator, meter = line.nodes

    def serve(index, event, now):
        if isinstance(event, RequestReceived):
            line.nodes[index].respond(event.request_id, b"\0 value", now)

    line.on_event = serve
    to = UniqueId(meter.config.unique_node_id)
    row = DomainEntry(concentrator.domains[0].domain, 1, 7, bytes(6))
    concentrator.send_request(SubnetNode(1, 7), b"\0 too early", 0.0, retries=0)
    concentrator.send_request(to, b"\0 too early", 0.0)
    concentrator.send_request(to, m.UpdateDomain(0, row).encode(), 0.0)
    concentrator.send_request(to, COMMISSIONED.encode(), 0.0)
    concentrator.send_request(SubnetNode(1, 7), b"\0 read", 0.0)
    line.run(20.0)
    assert [event.apdu for event in line.of(0, ResponseReceived)] == [b"\x3f", b"\x23", b"\x2c", b"\0 value"]
    assert [event.success for event in line.of(0, TransactionDone)] == [False, True, True, True, True]
    assert line.of(1, DomainChanged) == [DomainChanged(0, row)]
    assert line.of(1, StateChanged) == [StateChanged(NodeState.CONFIGURED)]
    assert meter.state == "configured"
    assert meter.address() == SubnetNode(1, 7)


def leaving(make_node, make_line, index, rows):
    """A node with `rows` domain rows is told by its first domain to leave row `index`."""
    line = make_line([make_node(100), make_node(7)])
    meter = line.nodes[1]
    if rows == 2:
        meter.set_domain(1, DomainEntry(line.nodes[0].domains[0].domain.__class__(b"Q"), 3, 3))
    line.nodes[0].send_request(SubnetNode(1, 7), m.LeaveDomain(index).encode(), 0.0, retries=1)
    line.run(10.0)
    return line, meter


def test_leaving_the_domain_of_the_request_is_silent(make_node, make_line):
    line, meter = leaving(make_node, make_line, 0, 2)
    assert line.of(0, ResponseReceived) == []
    assert meter.domains[0] is None
    assert meter.state is NodeState.CONFIGURED


def test_leaving_another_domain_is_answered(make_node, make_line):
    line, meter = leaving(make_node, make_line, 1, 2)
    assert [event.apdu for event in line.of(0, ResponseReceived)] == [b"\x24"]
    assert meter.state is NodeState.CONFIGURED


def test_leaving_the_last_domain_makes_the_node_unconfigured_and_resets_it(make_node, make_line):
    line, meter = leaving(make_node, make_line, 0, 1)
    assert meter.state is NodeState.UNCONFIGURED
    assert meter.address() is None
    assert line.of(1, WasReset) == [WasReset(physical=False)]


def test_leaving_a_row_that_does_not_exist_is_refused(make_node, make_line):
    line, _ = leaving(make_node, make_line, 2, 1)
    assert [event.apdu for event in line.of(0, ResponseReceived)] == [b"\x04"]


def test_unconfigured_node_originates_nothing(make_node):
    from mac import LocalProtocolError

    with pytest.raises(LocalProtocolError, match="unconfigured"):
        make_node(1, address=False).send_unacknowledged(Broadcast(), b"\0", 0.0)
