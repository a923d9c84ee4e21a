"""The MEP port: frames, RC4 mode and TLS mode, both ends, as engines without input or output.

    octets <-- frame.py --> frames <-- server.py | client.py --> table requests            tls_mode.py: the same through TLS
"""

from .client import AlertSeen, MepAnswered, MepClient, MepClientConfig, MepFailed, MepRequester
from .frame import MAX_BODY, MAX_READ, MAX_WRITE, FrameReader, MepDrop, MepTiming
from .server import MepConfig, MepHost, MepRateChanged, MepServer, MepSettings, RequestRefused
from .tls_client import MepTlsClient, MepTlsConfig

__all__ = [
    "MAX_BODY",
    "MAX_READ",
    "MAX_WRITE",
    "AlertSeen",
    "FrameReader",
    "MepAnswered",
    "MepClient",
    "MepClientConfig",
    "MepConfig",
    "MepDrop",
    "MepFailed",
    "MepHost",
    "MepRateChanged",
    "MepRequester",
    "MepServer",
    "MepSettings",
    "MepTiming",
    "MepTlsClient",
    "MepTlsConfig",
    "RequestRefused",
]
