"""What drivers said of the health of their devices, how long that counts, and the file that keeps it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hostdev.kubelet.stubs import dra_health_v1alpha1_pb2 as api
from tests.kubelet.surprises import Surprise
from tests.kubelet.times import Times

NAME = "dra_health_state"
UNKNOWN, HEALTHY, UNHEALTHY = "Unknown", "Healthy", "Unhealthy"
_WORDS = {api.UNKNOWN: UNKNOWN, api.HEALTHY: HEALTHY, api.UNHEALTHY: UNHEALTHY}
_LONGEST = 1024
_NANO = 1_000_000_000


class Told(NamedTuple):
    """Of one device."""

    health: str = UNKNOWN
    message: str = ""
    expiry: float = 0.0
    at: float = 0.0
    """When it was read."""

    def is_as(self, other: Told | None) -> bool:
        """Whether a pod's status would not change."""
        return other is not None and self[:3] == other[:3]


class HealthCache:
    """By driver, and by pool and device."""

    def __init__(self, directory: Path, times: Times, surprises: frozenset[Surprise]) -> None:
        self._file = directory / NAME
        self._times, self._expires = times, Surprise.HEALTH_EXPIRES in surprises
        self._lock = threading.RLock()
        self._told: dict[str, dict[str, Told]] = {}
        if self._file.exists():
            self._restore(json.loads(self._file.read_bytes()))

    def of(self, driver: str, pool: str, device: str) -> Told:
        """What a pod's status has now."""
        with self._lock:
            told = self._told.get(driver, {}).get(f"{pool}/{device}", Told())
        return Told() if self._is_old(told) else told

    def update(self, driver: str, devices: Iterable[api.DeviceHealth]) -> set[tuple[str, str]]:
        """Take a message; pool and device of those that are otherwise than before."""
        with self._lock:
            known, now = self._told.setdefault(driver, {}), time.time()
            new = {_key(one): self._read(one, now) for one in devices}
            # What a message leaves out is only looked at then.
            old = {key: Told(at=now) for key, told in known.items() if key not in new and self._is_expired(told)}
            changed = {key for key, told in {**new, **old}.items() if not told.is_as(known.get(key))}
            known |= new | old
            if changed:
                self._save()
        return {(pool, device) for pool, _, device in (key.rpartition("/") for key in changed)}

    def clear(self, driver: str) -> None:
        """A stream of the driver has ended, whichever process's it was."""
        with self._lock:
            self._told.pop(driver, None)
            self._save()

    def let_expire(self, driver: str) -> None:
        """As if nothing had come for ages."""
        with self._lock:
            self._told[driver] = {key: told._replace(at=0.0) for key, told in self._told.get(driver, {}).items()}

    def _read(self, one: api.DeviceHealth, now: float) -> Told:
        expiry = float(one.health_check_timeout_seconds) if one.health_check_timeout_seconds > 0 else 0.0
        text = one.message if len(one.message) <= _LONGEST else f"{one.message[: _LONGEST - 3]}..."
        return Told(_WORDS[one.health], text, expiry or self._times.health_expiry, now)

    def _is_expired(self, told: Told) -> bool:
        return told.health != UNKNOWN and self._is_old(told)

    def _is_old(self, told: Told) -> bool:
        return self._expires and time.time() - told.at > told.expiry

    def _save(self) -> None:
        whole = {
            driver: {"Devices": {key: _document(key, told) for key, told in sorted(known.items())}}
            for driver, known in sorted(self._told.items())
        }
        hidden = self._file.with_name(f".{NAME}")
        hidden.write_text(json.dumps(whole, separators=(",", ":")))
        hidden.rename(self._file)

    def _restore(self, whole: Mapping[str, Any]) -> None:
        # By the age of the file: Python reads no nanoseconds.
        at = self._file.stat().st_mtime
        for driver, found in whole.items():
            for key, one in found["Devices"].items():
                told = Told(one["Health"], one["Message"], one["HealthCheckTimeout"] / _NANO, at)
                self._told.setdefault(driver, {})[key] = told


def _key(one: api.DeviceHealth) -> str:
    return f"{one.device.pool_name}/{one.device.device_name}"


def _document(key: str, told: Told) -> Mapping[str, Any]:
    pool, _, device = key.rpartition("/")
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(told.at))
    return {
        "PoolName": pool,
        "DeviceName": device,
        "Health": told.health,
        "LastUpdated": f"{moment}.{int(told.at % 1 * _NANO):09d}".rstrip("0").rstrip(".") + "Z",
        "HealthCheckTimeout": int(told.expiry * _NANO),
        "Message": told.message,
    }
