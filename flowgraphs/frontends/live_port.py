"""The line's end of the lock-step link when the line is real: time goes on by itself, and lost samples are skipped."""

from collections.abc import Callable, Iterator

from ..messages import Samples
from ..stream import LinePort


class LivePort(LinePort):
    """A LinePort whose transmit blocks are taken as soon as every station has decided about them."""

    def pump(self) -> None:
        """Take every message that has come."""
        while self._socket.poll(0) and self._receive():
            pass

    def caught_up(self, stopped: Callable[[], bool]) -> bool:
        """Wait until every station has worked off all that was emitted; False when `stopped()` became true first."""
        while self.members:
            least = min(member.next_sample for member in self.members.values())
            if least >= self.index + (1 + self.latency) * self.block:
                return True
            if not self._receive() and stopped():
                return False
        return True

    def decided(self, since: int) -> tuple[int, Iterator[tuple[int, Samples]]]:
        """What goes out from index `since` on, as far as all stations have decided.

        Returns:
            The index up to which it is certain, and (index, sum of the transmit blocks) of each block that is not silent.
        """
        if not self.members:
            return since, iter(())
        until = max(since, min(member.next_sample for member in self.members.values()))
        return until, self._mixed(since, until)

    def skip_to(self, index: int) -> None:
        """Samples below `index` were lost: go on there. What stations wanted to send meanwhile is lost, too."""
        self.index = self._aligned(index)
        silent_until = self.index + (1 + self.latency) * self.block
        for member in self.members.values():
            member.next_sample = max(member.next_sample, silent_until)

    def _mixed(self, since: int, until: int) -> Iterator[tuple[int, Samples]]:
        if not any(member.blocks for member in self.members.values()):
            return
        for index in range(self._aligned(since), until, self.block):
            sent = list(self.sent(index).values())
            if sent:
                yield index, sent[0] if len(sent) == 1 else sum(sent[1:], sent[0])
        for member in self.members.values():  # what came for a time that has passed
            for index in [index for index in member.blocks if index < until]:
                del member.blocks[index]
