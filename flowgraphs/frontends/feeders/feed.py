"""Feeds samples of an ADC to osgp-sdr; needs only pyzmq. Float32, volts, little endian, come in at standard input.

read_adc | python feed.py tcp://127.0.0.1:5555 400000        osgp-sdr probe tcp://127.0.0.1:5555
"""

import os
import struct
import sys

import zmq

endpoint, rate = sys.argv[1], float(sys.argv[2])
publisher = zmq.Context().socket(zmq.PUB)
publisher.setsockopt(zmq.SNDHWM, 1000)  # messages; who is slower than that loses some, and sees it
publisher.bind(endpoint)
run = int.from_bytes(os.urandom(2), "big") | 1  # another one at each start
first = 0  # index of the first sample of a message; let it jump when your ADC lost some
while octets := sys.stdin.buffer.read(4 * 1000):
    count = len(octets) // 4
    #                       magic    version kind station first  rate  count  flags
    header = struct.pack("<4sBBHqdII", b"OSDR", 1, 1, 0xFFFF, first, rate, count, run << 16)
    publisher.send_multipart([header, octets[: 4 * count]])
    first += count
publisher.close(linger=1000)
