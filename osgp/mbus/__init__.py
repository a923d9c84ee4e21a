"""M-Bus (EN 13757-2 and -3, wired): frames, telegrams, data records, AES mode 5, simulated water and heat meters on a bus."""

from .bus import MbusBus, MbusPort
from .cipher import decrypt, encrypt
from .devices import MbusDevice, heat_meter, water_meter
from .frame import Ack, FrameReader, LongFrame, ShortFrame, decode_frame
from .master import Answer, Master
from .record import Record, decode_records
from .slave import MbusSlave
from .telegram import DeviceId, Fixed, Variable, decode_telegram

__all__ = [
    "Ack",
    "Answer",
    "DeviceId",
    "Fixed",
    "FrameReader",
    "LongFrame",
    "Master",
    "MbusBus",
    "MbusDevice",
    "MbusPort",
    "MbusSlave",
    "Record",
    "ShortFrame",
    "Variable",
    "decode_frame",
    "decode_records",
    "decode_telegram",
    "decrypt",
    "encrypt",
    "heat_meter",
    "water_meter",
]
