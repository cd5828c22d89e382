"""Values of JSON for hypothesis: any at all, and entries of `passgate.dev/devices`."""

from __future__ import annotations

from hypothesis import strategies as st

from hostdev.vmi.annotations import DEVICE_KEYS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
ENTRIES = st.dictionaries(
    st.sampled_from([*DEVICE_KEYS, "nmae"]), JSON | st.sampled_from(["all", "host", "a.b/c", "09:00.0"])
)
