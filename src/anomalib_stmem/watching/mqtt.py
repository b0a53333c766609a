"""Tells an MQTT broker of each event, and Home Assistant of each camera."""

import json
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..video.source import without_password
from .delivery import Delivery
from .outbox import MQTT_OUTBOX

PORTS = {"mqtt": 1883, "mqtts": 8883}
CONFIRMED = 5.0  # seconds that the broker may take to confirm an event
KEEP_ALIVE = 30  # seconds
LONGEST_RECONNECT = 30  # seconds between two attempts
ONLINE, OFFLINE, ON, OFF = "online", "offline", "ON", "OFF"
DISCOVERY = "homeassistant"


def check_mqtt(url: str) -> None:
    """Refuse what names no broker or no topic, and say what is not installed.

    Raises:
        ValueError: not ``mqtt://[user:password@]host[:port]/topic``, or the same with ``mqtts``.
        ModuleNotFoundError: ``paho-mqtt`` is not installed.
    """
    shown = without_password(url)
    expected = "Expected mqtt://[user:password@]host[:port]/topic, or mqtts:// for TLS"
    try:
        parts = urlsplit(url)
        known = parts.scheme in PORTS and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    topic = urlsplit(url).path.strip("/") if known else ""
    if not known or not topic or "#" in url or "+" in topic:  # which stand for several topics
        msg = f"--mqtt names no broker and topic: {shown!r}. {expected}."
        raise ValueError(msg)
    try:
        import paho.mqtt.client  # noqa: F401  # an extra
    except ModuleNotFoundError as error:
        msg = 'paho-mqtt is not installed. It comes with: pip install "anomalib-stmem[mqtt]"'
        raise ModuleNotFoundError(msg, name="paho") from error


class Mqtt(Delivery):
    """Publishes each event, and keeps retained what holds now.

    Topics, below that of the URL:

    - ``events``: each line of ``events.jsonl``, confirmed by the broker (QoS 1).
    - ``CAMERA/state``: ``ON`` while an event of the camera goes on, else ``OFF``; retained.
    - ``CAMERA/event``: the latest event of the camera; retained.
    - ``status``: ``online``, or ``offline`` at the end and, by the broker, when the connection is lost; retained.

    ``homeassistant/binary_sensor/...`` describes each camera for Home Assistant's discovery. The broker gets all that
    is retained again after each new connection.

    Args:
        url: ``mqtt://user:password@host:port/topic``; the password is never shown or stored.
        cameras: names of what is watched.
        folder: as :class:`~.delivery.Delivery` has it.
        tell: the same.
        earlier: the same.
    """

    def __init__(
        self,
        url: str,
        cameras: Sequence[str],
        folder: Path,
        tell: Callable[[str], None],
        earlier: Iterable[Path] = (),
    ) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        parts = urlsplit(url)
        self._topic = parts.path.strip("/")
        self._state = threading.Lock()
        self._going_on: dict[str, set[int]] = {camera: set() for camera in cameras}  # numbers of events
        self._latest: dict[str, str] = {}
        self._client = Client(CallbackAPIVersion.VERSION2)
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(f"{self._topic}/status", OFFLINE, qos=1, retain=True)
        self._client.reconnect_delay_set(1, LONGEST_RECONNECT)
        self._client.on_connect = self._connected
        self._refused: str | None = None
        self._client.connect_async(str(parts.hostname), parts.port or PORTS[parts.scheme], KEEP_ALIVE)
        self._client.loop_start()
        super().__init__(without_password(url), "--mqtt", folder, MQTT_OUTBOX, tell, earlier)

    def send(self, event: dict[str, Any]) -> None:
        """As :meth:`~.delivery.Delivery.send`; what is retained changes at once."""
        camera = str(event["video"])
        with self._state:
            going_on = self._going_on.setdefault(camera, set())
            (going_on.add if event["state"] == "began" else going_on.discard)(int(event["id"]))
            self._latest[camera] = json.dumps(event)
        if self._client.is_connected():
            self._tell_state(camera)
        super().send(event)

    def close(self, seconds: float = 10.0) -> int:
        """As :meth:`~.delivery.Delivery.close`; the broker gets to know that nobody watches any more."""
        waiting = super().close(seconds)
        if self._client.is_connected():
            self._client.publish(f"{self._topic}/status", OFFLINE, qos=1, retain=True).wait_for_publish(CONFIRMED)
        self._client.disconnect()
        self._client.loop_stop()
        return waiting

    def _send(self, event: dict[str, Any]) -> tuple[str | None, float | None]:
        if not self._client.is_connected():
            return self._refused or "it is not connected", 0.0
        message = self._client.publish(f"{self._topic}/events", json.dumps(event), qos=1)
        try:
            message.wait_for_publish(CONFIRMED)
        except (RuntimeError, ValueError) as error:
            return str(error), 0.0
        return (None, None) if message.is_published() else ("it does not confirm them", 0.0)

    def _connected(self, client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:  # noqa: ANN401
        """Tell a broker that may have forgotten everything; called after each connection."""
        self._refused = f"it answers: {reason}" if reason.is_failure else None
        if reason.is_failure:
            return
        client.publish(f"{self._topic}/status", ONLINE, qos=1, retain=True)
        for camera in list(self._going_on):
            where = f"{DISCOVERY}/binary_sensor/{_plain(self._topic)}_{_plain(camera)}/config"
            client.publish(where, json.dumps(self._described(camera)), qos=1, retain=True)
            self._tell_state(camera)

    def _tell_state(self, camera: str) -> None:
        with self._state:
            state, latest = ON if self._going_on[camera] else OFF, self._latest.get(camera)
        self._client.publish(f"{self._topic}/{_plain(camera)}/state", state, qos=1, retain=True)
        if latest is not None:
            self._client.publish(f"{self._topic}/{_plain(camera)}/event", latest, qos=1, retain=True)

    def _described(self, camera: str) -> dict[str, Any]:
        """Describe a camera as Home Assistant's MQTT discovery wants it."""
        mark, below = f"{_plain(self._topic)}_{_plain(camera)}", f"{self._topic}/{_plain(camera)}"
        return {
            "name": f"{camera} abnormal event",
            "unique_id": f"stmem_{mark}",
            "state_topic": f"{below}/state",
            "json_attributes_topic": f"{below}/event",
            "availability_topic": f"{self._topic}/status",
            "device_class": "safety",
            "device": {"identifiers": [f"stmem_{_plain(self._topic)}"], "name": f"STMem {self._topic}"},
        }


def _plain(name: str) -> str:
    """Write a name as a level of a topic and a part of Home Assistant's identifiers."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)
