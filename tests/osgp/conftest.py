"""A device with every dimension table filled, for the table tests."""

import pytest

from osgp import Context, table

LOGS = [(31, 232, 2), (32, 525, 1), (38, 35, 3), (41, 342, 2), (45, 40, 2), (75, 159, 1), (81, 12, 3)]


def dimensions(firmware):
    """Small but non-zero dimensions everywhere, so that every field of every table exists at least once."""
    context = Context(firmware=firmware)

    def put(name, **values):
        context.put(name, table(name).encode(values, context))

    put(
        "BT00", ni_format_1=8, ni_format_2=8, procedure_param_length=20, response_data_length=12, dim_basic_tables=10,
        dim_extended_tables=13, dim_basic_procedures=2, dim_extended_procedures=12, manufacturer_status_length=9,
        number_pending_tables=3,
    )
    register = {
        "season_field": True, "date_time_field": True, "demand_reset_counter": True, "cumulative_demand": True,
        "continuous_cumulative_demand": True, "time_remaining": True, "number_self_reads": 2, "number_summations": 5,
        "number_demands": 2, "number_coincident": 3, "number_occurrences": 1, "number_tiers": 4,
        "number_present_demands": 2, "number_present_values": 6,
    }
    put("BT20", **register)
    put("BT21", **register)
    put("BT30", number_primary_lists=1, number_primary_items=4)
    put("BT50", number_non_recurring=3, number_recurring=4, number_tier_switches=10, number_seasons=2)
    sets = [{"blocks": 2, "intervals": 9, "channels": 3, "interval_time": 15}] * context.load_profile_sets
    put("BT60", sets=sets)
    put("BT61", sets=sets, set1_scalar_divisor=True, end_readings=True)
    put("BT71", history_entries=3, history_data_length=2)
    put("ET04", max_power_outages=2)
    put(
        "ET11", num_devices=5, config_entry_size=66, status_entry_size=36, data_entry_size=30, ondemand_queue_size=2,
        ondemand_entry_size=6, ondemand_write_size=20, mbus_multicast_length=10, config2_entry_size=22,
        mep_channel_count=2, mep_data_sources=3, fw_module_count=2, fw_module_length=7, et57_entries=4,
        transaction_request_length=96, transaction_response_length=80, delta_alert_sources=3, relay_switches=4,
    )
    put(
        "ET36", count=7,
        logs=[{"table_number": n, "extended": True, "entry_size": size, "current_entries": have} for n, size, have in LOGS],
    )
    put("ET54", multi_lp=True, et74_entries=2, et79_entries=2)
    put("ET42", fixed_length=41, log_count=7, number_demands=2, number_coincident=3, lp1_channels=3)
    put("ET90", ftz_messages=3, unread_mask_length=1, pending_security_count=2, pending_security_size=8)
    return context


@pytest.fixture(params=[(3, 60), (4, 30)], ids=["generation 3", "generation 4"])
def device(request):
    """Context of a device of each generation."""
    return dimensions(request.param)


@pytest.fixture
def registers_only():
    """The plain meter: eleven registers, four tariffs, no demand metering."""
    context = Context()
    values = {"number_summations": 11, "number_occurrences": 1, "number_tiers": 4, "number_present_values": 41}
    context.put("BT21", table("BT21").encode({"season_field": True, "date_time_field": True, **values}))
    return context
