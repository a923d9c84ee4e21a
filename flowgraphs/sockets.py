"""What all ZeroMQ sockets of the program have in common: bounded queues, a bounded farewell, and how a dead peer is noticed.

A peer whose process ends closes its connection, which is noticed at once; one whose machine has gone is noticed by TCP's
keepalive. ZeroMQ has heartbeats of its own, but libzmq to 4.3.5 aborts the process (zeromq/libzmq#4841, #4767) when one is due on
a connection that died while its queue was full, which is what a slow reader and a killed sender make: they stay off everywhere.
"""

from typing import Final

import zmq

HIGH_WATER_MARK: Final = 1000  # messages
LINGER_MS: Final = 500
RECONNECT_MS: Final = 50
RECONNECT_MAX_MS: Final = 200
KEEPALIVE_S: Final = 1
KEEPALIVE_PROBES: Final = 3


def configure(socket: zmq.Socket[bytes]) -> None:
    """High-water marks, linger, reconnection and keepalive: the same for every socket of this package."""
    for option, value in (
        (zmq.SNDHWM, HIGH_WATER_MARK), (zmq.RCVHWM, HIGH_WATER_MARK), (zmq.LINGER, LINGER_MS),
        (zmq.RECONNECT_IVL, RECONNECT_MS), (zmq.RECONNECT_IVL_MAX, RECONNECT_MAX_MS),
        (zmq.TCP_KEEPALIVE, 1), (zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_S), (zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_S),
        (zmq.TCP_KEEPALIVE_CNT, KEEPALIVE_PROBES),
    ):  # fmt: skip
        socket.setsockopt(option, value)
