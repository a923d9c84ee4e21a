"""Optical and MEP ports of meters over real lines: serial ports, pseudo terminals, TCP.

    lines.py       octets in and out of a line
    serving.py     a simulated meter behind lines, in real time
    meter_store.py what the meter must not forget
    reading.py     tables of a meter at the other end of a line
"""
