"""The slices of a driver on a node, as the API server has them at this moment: listed, and followed from there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from domxml.errors import PassgateError
from hooksidecar import log
from hooksidecar.claims.apierrors import Gone
from hooksidecar.claims.apiserver import ApiServer, Event, Object, Watch

BRIEF = 1.0
"""Seconds: what ends watches sooner than that is asked for them no more often."""
SLICES = "/apis/resource.k8s.io/v1/resourceslices"


class LiveSlices:
    """Changes while others change slices; each time, and when it loses sight of them, `changed` is called."""

    def __init__(self, api: ApiServer, node: str, driver: str, changed: Callable[[], None]) -> None:
        self._api, self._changed = api, changed
        self._selector = f"spec.driver={driver},spec.nodeName={node}"
        self._lock = threading.Lock()
        self._slices: dict[str, Object] = {}
        self._removed: set[str] = set()
        self._watch: Watch | None = None
        self._round = 0
        self._doubt = False
        self._trouble: PassgateError | None = None
        self.is_followed = False

    def refresh(self) -> None:
        """List them, and follow them from there."""
        self.forget()
        listing = self._api.list(SLICES, fieldSelector=self._selector)
        with self._lock:
            self._slices = {one["metadata"]["uid"]: one for one in listing.items}
            self._removed.clear()
            self.is_followed = True
            number = self._round
        threading.Thread(target=self._follow, args=(number, listing.version), name="slices", daemon=True).start()

    def check(self) -> None:
        """Raise, once, why they are followed no longer."""
        with self._lock:
            trouble, self._trouble = self._trouble, None
        if trouble:
            raise trouble

    def forget(self) -> None:
        """Follow them no longer, as what is known is not what is there."""
        with self._lock:
            self._round += 1
            self.is_followed = False
            watch, self._watch = self._watch, None
        if watch:
            watch.interrupt()

    def objects(self) -> list[Object]:
        """All of them."""
        with self._lock:
            return list(self._slices.values())

    def take_doubt(self) -> bool:
        """Whether, since it was asked last, something else took slices away or a watch ended: a node may be new."""
        with self._lock:
            doubt, self._doubt = self._doubt, False
            return doubt

    def store(self, one: Object) -> None:
        """What the API server answered to our own change."""
        with self._lock:
            self._keep(one)

    def remove(self, uid: str) -> None:
        """What we have taken away ourselves."""
        with self._lock:
            self._removed.add(uid)
            self._slices.pop(uid, None)

    def _keep(self, one: Object) -> bool:
        """An older state that comes late changes nothing; nor does one of what is gone."""
        uid, known = one["metadata"]["uid"], self._slices.get(one["metadata"]["uid"])
        if uid in self._removed or (known and _version(known) >= _version(one)):
            return False
        self._slices[uid] = one
        return True

    def _follow(self, number: int, version: str) -> None:
        try:
            while self._round == number:
                begun = time.monotonic()
                watch = self._api.watch(SLICES, version, fieldSelector=self._selector)
                with self._lock:
                    is_wanted = self._round == number
                    self._watch = watch if is_wanted else self._watch
                if not is_wanted:
                    watch.close()
                    return
                for event in watch:
                    version = str(event.object["metadata"].get("resourceVersion") or version)
                    self._note(number, event)
                # It ended as it was to end; no late word of what is gone can come any more.
                with self._lock:
                    self._doubt = True
                    self._removed.clear()
                self._changed()
                if time.monotonic() - begun < BRIEF:
                    time.sleep(BRIEF)
        except PassgateError as error:
            self._lose(number, None if isinstance(error, Gone) else error)
        except Exception as error:  # noqa: BLE001  a defect here must not leave the slices unseen
            log.defect(error)
            self._lose(number, None)

    def _lose(self, number: int, trouble: PassgateError | None) -> None:
        with self._lock:
            if self._round != number:
                return
            self.is_followed, self._watch, self._trouble = False, None, trouble
        self._changed()

    def _note(self, number: int, event: Event) -> None:
        if event.type == "BOOKMARK":
            return
        metadata = event.object["metadata"]
        uid = metadata.get("uid")
        with self._lock:
            if self._round != number or not isinstance(uid, str):
                return
            if event.type == "DELETED":
                is_news = self._slices.pop(uid, None) is not None
                self._doubt |= is_news
                self._removed.add(uid)
            else:
                is_news = self._keep(event.object)
        if is_news:
            self._changed()


def _version(one: Object) -> int:
    """Versions of one resource can be compared since Kubernetes 1.35, and always could in truth."""
    text = str(one["metadata"].get("resourceVersion", ""))
    return int(text) if text.isascii() and text.isdecimal() else 0
