"""Answers to the classic proxy command, when the question comes to the node itself."""

from __future__ import annotations

from typing import Final

from ..classic_proxy import ClassicProxy, ProxyQuestion
from ..message_codes import success_code
from ..network import Arrival
from ..reports import IdReport
from .command import Command
from .managed_node import ManagedNode
from .reply import SILENCE, Reply, refusal, success
from .status import registers, status_report

_ANSWER: Final = success_code(ClassicProxy.CODE)


def _answer(node: ManagedNode, request: ClassicProxy, arrival: Arrival) -> Reply:
    match request.question:
        case ProxyQuestion.UNCONFIGURED_ID:
            report = IdReport(node.config.unique_node_id, node.config.program_id)
            return SILENCE if node.configured else Reply(report.encode(_ANSWER))
        case ProxyQuestion.STATUS:
            return Reply(status_report(node).encode(_ANSWER))
        case ProxyQuestion.TRANSCEIVER_STATUS:
            if not node.configuration.special_purpose:
                return refusal(request.CODE)
            return success(request.CODE, registers(node))


COMMANDS: Final = (Command(ClassicProxy, _answer, open=True),)
