"""Reads and writes against a plain bytearray, whatever their order, offset and length."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from osgp import AccessLevel, FullRead, FullWrite, Meter, MeterConfig, PartialRead, PartialWrite, Port, ResultCode, Session

MAK = Session(AccessLevel.MAK, Port.MEP1)
TABLES = {"ET03": 2051, "ET51": 2099}
offsets = st.one_of(st.integers(0, 160), st.integers(0, 0xFFFFFF))
counts = st.one_of(st.integers(0, 200), st.integers(0, 0xFFFF))


class Tables(RuleBasedStateMachine):
    """A meter beside bytearrays."""

    @initialize(seed=st.binary(min_size=143, max_size=143))
    def start(self, seed):
        self.meter = Meter(MeterConfig())
        self.model = {}
        for name in TABLES:
            size = self.meter.store.length(name)
            self.model[name] = bytearray(seed[:size].ljust(size, b"\1"))
            self.meter.store.put(name, bytes(self.model[name]))

    def serve(self, request):
        return self.meter.serve(request.encode(), MAK, 0.0)

    @rule(name=st.sampled_from(sorted(TABLES)), offset=offsets, octets=st.binary(max_size=170))
    def write(self, name, offset, octets):
        assert self.serve(PartialWrite(TABLES[name], offset, octets)).result is ResultCode.OK
        for at, octet in enumerate(octets):
            if offset + at < len(self.model[name]):
                self.model[name][offset + at] = octet

    @rule(name=st.sampled_from(sorted(TABLES)), octets=st.binary(max_size=170))
    def write_all(self, name, octets):
        assert self.serve(FullWrite(TABLES[name], octets)).result is ResultCode.OK
        self.model[name][: len(octets)] = octets[: len(self.model[name])]

    @rule(name=st.sampled_from(sorted(TABLES)), offset=offsets, count=counts)
    def read(self, name, offset, count):
        endless = bytes(self.model[name]) + bytes(count)
        expected = endless[offset : offset + count] if offset < len(self.model[name]) else bytes(count)
        assert self.serve(PartialRead(TABLES[name], offset, count)).data == expected

    @invariant()
    def same(self):
        if hasattr(self, "meter"):
            for name, number in TABLES.items():
                assert self.serve(FullRead(number)).data == bytes(self.model[name])


Tables.TestCase.settings = settings(max_examples=25, stateful_step_count=20)
TestTables = Tables.TestCase
