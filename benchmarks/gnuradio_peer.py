"""GNU Radio at the other end of a sample stream; run by gnuradio_stream.py and a test under the system's Python.

    /usr/bin/python3 benchmarks/gnuradio_peer.py send    pub|push ENDPOINT FILE ITEMS RATE tags|bare    FILE again and again
    /usr/bin/python3 benchmarks/gnuradio_peer.py receive sub|pull ENDPOINT FILE ITEMS tags|bare

Sinks bind, sources connect. Prints `ready` when the flow graph has been built.
"""

import sys
import time

from gnuradio import blocks, gr, zeromq

ITEM = gr.sizeof_float
TIMEOUT_MS = 100


def sender(kind, endpoint, path, items, rate, tags):
    top = gr.top_block()
    make = zeromq.pub_sink if kind == "pub" else zeromq.push_sink
    sink = make(ITEM, 1, endpoint, TIMEOUT_MS, tags, -1)
    source = blocks.file_source(ITEM, path, True)
    top.connect(source, blocks.throttle(ITEM, rate), blocks.head(ITEM, items), sink)
    return top


def receiver(kind, endpoint, path, items, tags):
    top = gr.top_block()
    make = zeromq.sub_source if kind == "sub" else zeromq.pull_source
    source = make(ITEM, 1, endpoint, TIMEOUT_MS, tags, -1)
    file = blocks.file_sink(ITEM, path)
    file.set_unbuffered(True)  # what has come shall be in the file even when the graph never ends
    top.connect(source, blocks.head(ITEM, items), file)
    return top


def main():
    what, kind, endpoint, path, items = sys.argv[1:6]
    tags = sys.argv[-1] == "tags"
    if what == "send":
        top = sender(kind, endpoint, path, int(items), float(sys.argv[6]), tags)
    else:
        top = receiver(kind, endpoint, path, int(items), tags)
    print("ready", flush=True)
    time.sleep(0.5)  # for whoever wants to subscribe to a PUB, which has bound by now
    top.start()
    top.wait()


main()
