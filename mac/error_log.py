"""Values of a node's error log, as the octet `last error` of Query Status shows them (grade B; 138 seen live)."""

from __future__ import annotations

from enum import IntEnum


class ErrorLog(IntEnum):
    """What went wrong last; 0 after Clear Status. Only those that this node or its application can log."""

    NONE = 0
    BAD_EVENT = 129
    VARIABLE_LENGTH_MISMATCH = 130
    VARIABLE_MESSAGE_TOO_SHORT = 131
    EEPROM_WRITE = 132
    BAD_ADDRESS_TYPE = 133
    INVALID_DOMAIN = 138
    INVALID_ADDRESS_INDEX = 141
    INCOMPLETE_MESSAGE = 142
    UPDATE_OF_OUTPUT_VARIABLE = 143
    UNKNOWN_PDU = 146
    INVALID_VARIABLE_INDEX = 147
    APPLICATION_CHECKSUM = 152
    CONFIGURATION_CHECKSUM = 153
    TRANSCEIVER_REGISTER_ADDRESS = 154
    TRANSCEIVER_REGISTER_TIMEOUT = 155
    AUTHENTICATION_MISMATCH = 160
    APPLICATION_SIGNATURE = 163
