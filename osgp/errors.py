"""The one error tree of the osgp package.

OsgpError
 +- ConfigurationError   our own user asked for something impossible (also a ValueError)
 +- LocalProtocolError   our own user called an engine out of turn
 +- DecodeError          octets from the line do not form a message; caught at the edge, counted, never fatal
 |   +- TruncatedMessage    there are too few octets
 |   +- UnknownService      a well-formed message asks for a service that we do not know
 |   +- BadDigest           the message authentication code is wrong
 +- TableError           a table cannot be laid out, decoded or encoded (also a ValueError)
     +- ExpressionError     an expression of a table specification cannot be parsed or evaluated
     +- TruncatedTable      the octets end before the field does
"""


class OsgpError(Exception):
    """Root of the tree."""


class ConfigurationError(OsgpError, ValueError):
    """An argument is out of range; the text names it, its limit and the value."""


class LocalProtocolError(OsgpError):
    """A call that the engine does not allow in its present state."""


class DecodeError(OsgpError, ValueError):
    """Octets from the line do not form a message."""


class TruncatedMessage(DecodeError):
    """A message ends too early."""


class UnknownService(DecodeError):
    """The first octet of a request is no service of ours."""


class BadDigest(DecodeError):
    """The digest of a message does not match its octets under our key."""


class TableError(OsgpError, ValueError):
    """A table cannot be laid out, decoded or encoded."""


class ExpressionError(TableError):
    """An expression of a table specification is malformed or cannot be evaluated."""


class TruncatedTable(TableError):
    """Table octets end before a field does."""
