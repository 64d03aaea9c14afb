"""Objects and everything that ever happened to them, with one version for the whole cluster (as etcd)."""

from __future__ import annotations

import bisect
import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from .kinds import Kind
from .status import Json, encode

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


class Place(NamedTuple):
    """Where an object lives; `kind` is (group, plural)."""

    kind: tuple[str, str]
    namespace: str
    name: str


@dataclass(frozen=True)
class Event:
    """One change. `before` is the object as it was, for watches whose selector it entered or left."""

    version: int
    type: EventType
    place: Place
    object: Json
    before: Json | None = None

    @cached_property
    def encoded(self) -> bytes:
        """The object's JSON."""
        return encode(self.object).rstrip()


class Database:
    """Guarded by the cluster's lock."""

    def __init__(self) -> None:
        self.version = 1
        self.events: list[Event] = []
        self._objects: dict[Place, Json] = {}

    def get(self, place: Place) -> Json | None:
        """The object as it is now; not to be changed."""
        return self._objects.get(place)

    def put(self, place: Place, found: Json) -> Json:
        """Add the object, or replace it; returns what is stored."""
        before = self._objects.get(place)
        found = copy.deepcopy(found)
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)
        self._objects[place] = found
        self.events.append(Event(self.version, "MODIFIED" if before else "ADDED", place, found, before))
        return found

    def remove(self, place: Place) -> None:
        """Delete it. The event has the last state with the version of the deletion."""
        before = self._objects.pop(place)
        self.version += 1
        last = before | {"metadata": before["metadata"] | {"resourceVersion": str(self.version)}}
        self.events.append(Event(self.version, "DELETED", place, last, before))

    def bookmark(self) -> None:
        """Tell every watch that wants to know how far it is."""
        self.events.append(Event(self.version, "BOOKMARK", Place(("", ""), "", ""), {}))

    def all(self, kind: Kind, version: int | None = None) -> list[Json]:
        """The objects of a kind by namespace and name, now or as they were at `version`."""
        objects = self._objects if version is None else self._at(version)
        wanted = (kind.group, kind.plural)
        return [found for place, found in sorted(objects.items()) if place.kind == wanted]

    def after(self, version: int) -> int:
        """Index of the first event later than `version`."""
        return bisect.bisect_right(self.events, version, key=lambda event: event.version)

    def _at(self, version: int) -> dict[Place, Json]:
        objects: dict[Place, Json] = {}
        for event in self.events[: self.after(version)]:
            if event.type == "DELETED":
                del objects[event.place]
            elif event.type != "BOOKMARK":
                objects[event.place] = event.object
        return objects
