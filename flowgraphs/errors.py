"""The error tree of this package; every text is one line that names the file, argument or peer.

FlowgraphError
 +- StreamError      octets from a socket are no message of ours; counted and dropped by the caller
 +- GraphError       a graph file is wrong; the text names file, line and key
 +- CampaignError    a campaign's specification or directory is wrong; the text names file and line, or the directory
 +- RecordingError   a recording cannot be read or written
 +- StationError     a process of a running graph failed
 +- StateFileError   what a node kept across a restart cannot be read or written
 +- SocketError      an address cannot be bound or joined
 +- NodeOptionError  an option of a node is wrong; the text names it
 +- FrontEndError    a source or sink of samples cannot be opened or used; the text begins with its URL or name
 +- CommandError     a line on the command input is no command
 +- MissingFeature   an optional library or program is not installed
"""


class FlowgraphError(Exception):
    """Something this package was asked to do cannot be done; the text is meant for the user."""


class StreamError(FlowgraphError, ValueError):
    """A message is malformed. Never fatal: the receiver of the message counts and drops it."""


class GraphError(FlowgraphError, ValueError):
    """A graph does not follow the schema, or its parts do not fit together."""


class CampaignError(FlowgraphError, ValueError):
    """A campaign's specification does not follow the schema, or its directory belongs to another one."""


class RecordingError(FlowgraphError, ValueError):
    """A recording is truncated, empty, of an unknown type, or holds values that are no samples."""


class StationError(FlowgraphError):
    """A station or a front end failed or vanished."""


class StateFileError(FlowgraphError):
    """The file with a node's non-volatile data is damaged, or cannot be read or written."""


class SocketError(FlowgraphError):
    """The system refuses an address: it belongs to another machine, or the port is taken."""


class NodeOptionError(FlowgraphError, ValueError):
    """An option of a node says something that cannot be; the text names the option and what is expected."""


class FrontEndError(FlowgraphError):
    """A source or a sink of samples cannot be opened, or fails; the text names it and what is wrong."""


class CommandError(FlowgraphError, ValueError):
    """A line is no command, or names something that does not exist; reported, never fatal."""


class MissingFeature(FlowgraphError):
    """A library or program that this feature needs is not installed."""
