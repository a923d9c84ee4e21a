"""A node process on LON/IP in the place of the recorded stack: what it answers over real sockets, octet for octet.

The tester's side is plain sockets. Everything runs in a network namespace of its own where the system allows it, else on
addresses added to `lo`; where neither is allowed the tests are skipped.
"""

import time
from pathlib import Path
from random import Random

import pytest

import mac
from mac.authentication import AuthenticationKeys

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

VECTORS = Path(__file__).parents[1] / "vectors" / "mac" / "lonudp.txt"
KEYS = AuthenticationKeys((bytes.fromhex("010203040506"), bytes.fromhex("0708090A0B0C")))

IDENTITY = [
    *("--unique-id", "02FC0000000C", "--program-id", "9FFFFF0000000001", "--firmware", "4.1.1", "--model", 0xA8),
    *("--app", "echo", "--silence", 0, "--self-identification", "010D0901000080A180A1"),
    # The variables of the recorded stack's example application; its outputs follow its inputs.
    *(f"--variable={direction}:{length}:{selector:04x}:{row}" for direction, row, first in (("in", 0, 0), ("out", 15, 1))
      for selector, length in enumerate((7, 2, 4, 2, 4)) if selector >= first),
]
DOMAIN_ROW = mac.DomainEntry(mac.DomainId(b"\x51"), 35, 12, KEYS.rows[0], dhcp=True)
ADDRESS_ROWS = (bytes.fromhex("010F000023"),)


def saved_state(path, second_row, address_rows=ADDRESS_ROWS, state=mac.NodeState.CONFIGURED):
    """A state file with the recorded node's tables."""
    node = mac.Node(
        mac.NodeConfig(
            bytes.fromhex("02FC0000000C"),
            bytes.fromhex("9FFFFF0000000001"),
            domains=(DOMAIN_ROW, second_row),
            address_rows=address_rows,
            configuration=bytes.fromhex("0000000000000000185E003FA6776701080E01000000000080"),
            state=state,
        ),
        mac.ChannelTiming.load("pl20n"),
        Random(1),
    )
    path.write_bytes(node.snapshot().encode())
    return path


def read_scenarios():
    scenarios = {}
    for line in VECTORS.read_text().splitlines():
        if line.startswith("## "):
            current = scenarios.setdefault(line[3:], [])
        elif not line.startswith("#"):
            sender, to, payload, _ = line.split()
            current.append((sender, to, bytes.fromhex(payload)))
    return scenarios


SCENARIOS = read_scenarios()

# What of a recorded answer is not compared: payload of the request -> (octets blanked, reason).
COUNTERS = "its counters: the recorded stack counts other things, and has one counter more than the standard's set"
NOT_COMPARED = {"00110e6d03000010": (slice(4, None), COUNTERS)}


def blanked(payload, request):
    """A payload without what is not compared; the counters of every status report are blanked."""
    octets = bytearray(payload)
    for code in (0x31, 0x32, 0x36):
        at = len(octets) - 16
        if at >= 3 and octets[at] == code:
            octets[at + 1 : at + 11] = bytes(10)
    if request.hex() in NOT_COMPARED:
        part = NOT_COMPARED[request.hex()][0]
        octets[part] = bytes(len(octets[part]))
    return bytes(octets)


def rounds(frames):
    """(destination, tester's payload, answers up to the tester's next one)."""
    current = None
    for sender, to, payload in frames:
        if sender == ">":
            if current is not None:
                yield current
            current = (to, payload, [])
        else:
            current[2].append(payload)
    yield current


def replay(tester, frames, pause=0.0):
    """Send the tester's datagrams, compare what comes back with the recording; a challenge is met with the right reply."""
    challenge = None
    for to, payload, recorded in rounds(frames):
        if payload[1] & 3 == 2 and challenge is not None:  # the reply: to our challenge, not to the recorded one
            payload = payload[:3] + reply_to(challenge, payload, right=recorded_reply_is_right(frames)) + payload[11:]
        tester.send(payload, to)
        for answer in recorded:
            received = tester.receive()
            assert received is not None, f"no answer to {payload.hex()}"
            ours = received[0]
            if answer[1] & 3 == 2:
                challenge = ours
                head = 3 if answer[1] >> 4 == 1 else 5
                assert ours[:head] + ours[head + 8 :] == answer[:head] + answer[head + 8 :], "all but the value of the challenge"
                continue
            assert blanked(ours, payload).hex() == blanked(answer, payload).hex(), payload.hex()
        if not recorded:
            tester.silence()
        time.sleep(pause)


def recorded_reply_is_right(frames):
    """Whether the tester's reply fits the challenge in the recording."""
    challenge = next(payload for sender, _, payload in frames if sender == "<" and payload[1] & 3 == 2)
    reply = next(payload for sender, _, payload in frames if sender == ">" and payload[1] & 3 == 2)
    return reply[3:11] == expected_reply(challenge, frames[0][2])


def expected_reply(challenge, message):
    at = 3 if challenge[1] >> 4 == 1 else 5
    apdu_at = {1: 3, 4: 5}[message[1] >> 4]
    return KEYS.reply(challenge[at : at + 8], message[apdu_at:], 0)


def reply_to(challenge, recorded_reply, right):
    apdu = bytes.fromhex("0577AA") if challenge[1] >> 4 == 1 else bytes.fromhex("0577")
    at = 3 if challenge[1] >> 4 == 1 else 5
    value = KEYS.reply(challenge[at : at + 8], apdu, 0)
    return value if right else bytes([value[0] ^ 1]) + value[1:]


def test_management_requests_as_recorded(tester, start, tmp_path):
    """All requests of the first recorded session, in their order, then the service message."""
    second = mac.DomainEntry(mac.DomainId(b"\x7a"), 0, 0, KEYS.rows[1])
    node = start(*IDENTITY, "--state", saved_state(tmp_path / "state", second))
    frames = SCENARIOS["nm/nd requests"]
    replay(tester, frames[:-1])
    node.do(do="service_message")
    assert tester.receive()[0] == frames[-1][2]
    node.end()


SESSIONS = [  # between them the recorded stack was started anew: its transaction numbers begin with 0 again
    [
        *("ackd_dup", "req_dup", "unackd_rpt_dup", "priority_ackd", "altpath", "nv_update", "nv_poll_dir1"),
        *("auth_ackd_std", "auth_req_std", "auth_ackd_std_bad"),
    ],
    [
        *("nm_update_address_group", "group_ackd_rx", "group_req_reminders", "group_rpt", "group_ackd_nonmember", "group_auth"),
        *("flex_domain_uid", "flex_query_id", "bcast_other_subnet", "nm_update_key", "nm_write_mem", "nm_mode_offline"),
        *("offline_appmsg", "nm_unconfig", "unconfigured", "nm_configured", "wink", "misc"),
    ],
]
PAUSES = {"group_req_reminders": 0.25}  # s; the group's receive timer of 768 ms ends within the scenario, as it did when recorded
DELIVERED = {  # what the application of the recorded stack reported
    "ackd_dup": ["message_received 0511"],
    "req_dup": ["request_received 052233"],
    "unackd_rpt_dup": ["message_received 0533"],
    "group_rpt": ["message_received 0508"],
    "group_req_reminders": ["request_received 050203", "request_received 050203"],
}


BAD_DOMAIN_INDEX = bytes.fromhex("00110E6302") + bytes(15)


@pytest.mark.parametrize("session", SESSIONS, ids=["transactions", "management"])
def test_scenarios_as_recorded_one_after_the_other(tester, start, tmp_path, session):
    """One node process in the recorded stack's place. Before `nm_update_key` that one was sent a bad domain index."""
    second = mac.DomainEntry(mac.DomainId(b"ABCDEF"), 7, 9, KEYS.rows[1])
    node = start(*IDENTITY, "--state", saved_state(tmp_path / "state", second, address_rows=()))
    for scenario in session:
        if scenario == "nm_update_key":
            assert tester.ask(BAD_DOMAIN_INDEX) == bytes.fromhex("00112E03")
        replay(tester, SCENARIOS[scenario], PAUSES.get(scenario, 0.0))
        delivered = node.events_so_far("message_received", "request_received")
        if scenario in DELIVERED:
            assert [f"{event['event']} {event['apdu']}" for event in delivered] == DELIVERED[scenario], scenario
    node.end()
