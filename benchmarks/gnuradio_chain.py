"""A BPSK receive chain of GNU Radio over a file of float32 samples, timed; run by gnuradio_ratio.py under the system's Python.

    /usr/bin/python3 benchmarks/gnuradio_chain.py FILE RATE CARRIER_HZ BIT_RATE DECIMATION HEADER

Mixer and decimator with a boxcar of one bit, gain control, clock recovery (symbol_sync, Gardner), Costas loop, slicer, search
for the header's bits (0s and 1s) with up to six of them wrong: the fastest chain that demodulates the line at a small loss and
finds where packets begin. Prints the seconds that the flow graph ran. This script uses GNU Radio through its public interface
and is no part of the installed project.
"""

import sys
import time
from pathlib import Path

from gnuradio import analog, blocks, digital, gr
from gnuradio import filter as gr_filter


def main() -> None:
    """Run the chain once."""
    path, rate, carrier_hz, bit_rate, decimation = sys.argv[1], *(float(a) for a in sys.argv[2:6])
    graph = gr.top_block()
    length = round(rate / bit_rate)
    front = gr_filter.freq_xlating_fir_filter_fcf(int(decimation), [1.0 / length] * length, carrier_hz, rate)
    gain = analog.agc_cc(1e-3, 1.0, 1.0)
    clock = digital.symbol_sync_cc(
        digital.TED_GARDNER, rate / bit_rate / decimation, 0.01, 1.0, 0.3, 0.05, 1,
        digital.constellation_bpsk().base(), digital.IR_MMSE_8TAP, 128, [],
    )  # fmt: skip
    carrier = digital.costas_loop_cc(0.02, 2, False)
    packets = digital.correlate_access_code_tag_bb(sys.argv[6], 6, "packet")
    source = blocks.file_source(4, path, False)
    slicer, end = digital.binary_slicer_fb(), blocks.null_sink(1)
    graph.connect(source, front, gain, clock, carrier, blocks.complex_to_real(1), slicer, packets, end)
    start, cpu = time.perf_counter(), time.process_time()
    graph.run()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    samples = Path(path).stat().st_size // 4
    print(f"{samples} {seconds:.6f} {cpu:.6f}")


main()
