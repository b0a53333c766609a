"""Events at a real broker: mosquitto, as Debian has it."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anomalib_stmem.watching import delivery
from anomalib_stmem.watching.mqtt import Mqtt, check_mqtt
from anomalib_stmem.watching.outbox import MQTT_OUTBOX

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin")
needs_broker = pytest.mark.skipif(
    MOSQUITTO is None, reason="mosquitto is not installed (Debian: apt install mosquitto)"
)


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_WAIT", 0.05)


class Broker:
    """A mosquitto with a user, and a client that hears everything."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"mqtt://gate:p%40ss@127.0.0.1:{self.port}/house/stmem"
        passwords, self._config = folder / "passwords", folder / "mosquitto.conf"
        tool = str(MOSQUITTO).replace("/usr/sbin/mosquitto", "/usr/bin/mosquitto") + "_passwd"
        subprocess.run([tool, "-b", "-c", str(passwords), "gate", "p@ss"], check=True, capture_output=True)
        passwords.chmod(0o644)
        folder.chmod(0o755)
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous false", f"password_file {passwords}", "user root"]
        self._config.write_text("\n".join(lines) + "\n")
        self.heard: list[tuple[str, str, bool]] = []
        self._process: subprocess.Popen | None = None
        self.start()

    def start(self) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._process = subprocess.Popen([str(MOSQUITTO), "-c", str(self._config)], stderr=subprocess.DEVNULL)
        until(self.is_there)
        self._listener = Client(CallbackAPIVersion.VERSION2)
        self._listener.username_pw_set("gate", "p@ss")
        self._listener.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._listener.on_message = lambda _client, _data, message: self.heard.append(
            (message.topic, message.payload.decode(), message.retain)
        )
        self._listener.connect("127.0.0.1", self.port)
        self._listener.loop_start()
        until(self._listener.is_connected)

    def is_there(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self._listener.disconnect()
        self._listener.loop_stop()
        self._process.terminate()
        self._process.wait(10)

    def latest(self, topic: str) -> str | None:
        said = [payload for where, payload, _ in self.heard if where == topic]
        return said[-1] if said else None

    def events(self) -> list[int]:
        return [json.loads(payload)["id"] for where, payload, _ in self.heard if where == "house/stmem/events"]


def until(true: Callable[[], object], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    (tmp_path / "broker").mkdir()
    running = Broker(tmp_path / "broker")
    yield running
    running.stop()


def event(number: int, state: str = "began", camera: str = "gate") -> dict:
    return {"state": state, "video": camera, "id": number, "score": 0.7}


@needs_broker
def test_events_arrive_in_order_and_the_state_of_a_camera_is_kept(broker: Broker, tmp_path: Path) -> None:
    told: list[str] = []
    mqtt = Mqtt(broker.url, ["gate", "the yard"], tmp_path, told.append)
    until(lambda: broker.latest("house/stmem/status") == "online")
    until(lambda: broker.latest("house/stmem/the_yard/state") == "OFF")
    mqtt.send(event(1))
    until(lambda: broker.latest("house/stmem/gate/state") == "ON")
    mqtt.send(event(2))
    mqtt.send(event(1, "ended"))
    until(lambda: len(broker.events()) == 3)
    assert broker.latest("house/stmem/gate/state") == "ON"  # the second goes on
    mqtt.send(event(2, "ended"))
    assert mqtt.close() == 0
    until(lambda: broker.latest("house/stmem/status") == "offline")
    assert broker.events() == [1, 2, 1, 2]
    assert broker.latest("house/stmem/gate/state") == "OFF"
    assert json.loads(broker.latest("house/stmem/gate/event")) == event(2, "ended")
    assert (mqtt.num_delivered, mqtt.num_lost, told) == (4, 0, [])
    assert not (tmp_path / MQTT_OUTBOX).exists()


@needs_broker
def test_home_assistant_finds_each_camera(broker: Broker, tmp_path: Path) -> None:
    mqtt = Mqtt(broker.url, ["gate"], tmp_path, print)
    until(lambda: broker.latest("homeassistant/binary_sensor/house_stmem_gate/config"))
    described = json.loads(broker.latest("homeassistant/binary_sensor/house_stmem_gate/config"))
    assert described["state_topic"] == "house/stmem/gate/state"
    assert described["availability_topic"] == "house/stmem/status"
    assert described["unique_id"] == "stmem_house_stmem_gate"
    mqtt.close()


@needs_broker
def test_nothing_is_lost_while_the_broker_is_away(broker: Broker, tmp_path: Path) -> None:
    told: list[str] = []
    mqtt = Mqtt(broker.url, ["gate"], tmp_path, told.append)
    until(lambda: broker.latest("house/stmem/status") == "online")
    broker.stop()
    for number in (1, 2, 3):
        mqtt.send(event(number))
    until(lambda: told)
    assert "does not take events" in told[0]
    assert "p@ss" not in "".join(told)
    assert "p%40ss" not in "".join(told)
    broker.start()
    until(lambda: sorted(set(broker.events())) == [1, 2, 3], 40)
    until(lambda: broker.latest("house/stmem/gate/state") == "ON")
    assert mqtt.close() == 0


@needs_broker
def test_the_broker_tells_that_a_watch_has_died(broker: Broker, tmp_path: Path) -> None:
    """The last will, where the process ends without a word."""
    code = (
        "import sys, time; from pathlib import Path; from anomalib_stmem.watching.mqtt import Mqtt; "
        f"Mqtt({broker.url!r}, ['gate'], Path({str(tmp_path)!r}), print); time.sleep(60)"
    )
    watch = subprocess.Popen([shutil.which("python") or "python3", "-c", code])
    until(lambda: broker.latest("house/stmem/status") == "online", 30)
    watch.kill()
    watch.wait()
    until(lambda: broker.latest("house/stmem/status") == "offline")


@needs_broker
def test_a_wrong_password_is_told_and_the_events_wait_for_the_next_watch(broker: Broker, tmp_path: Path) -> None:
    told: list[str] = []
    (tmp_path / "1").mkdir()
    mqtt = Mqtt(broker.url.replace("p%40ss", "wrong"), ["gate"], tmp_path / "1", told.append)
    mqtt.send(event(7))
    until(lambda: told)
    assert mqtt.close(0.3) == 1
    assert "They wait in" in told[-1]
    assert "--mqtt" in told[-1]
    assert b"wrong" not in (tmp_path / "1" / MQTT_OUTBOX).read_bytes()
    (tmp_path / "2").mkdir()
    again = Mqtt(broker.url, ["gate"], tmp_path / "2", told.append, [tmp_path / "1"])
    until(lambda: broker.events() == [7])
    again.close()


@pytest.mark.parametrize(
    "url",
    ["http://host/topic", "mqtt://host", "mqtt://host/", "mqtt:///topic", "mqtt://host/a/#", "mqtt://host/+/a"],
)
def test_what_names_no_broker_and_topic_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"--mqtt names no broker and topic.*Expected mqtt://"):
        check_mqtt(url)


def test_a_password_is_not_shown_in_a_refusal() -> None:
    with pytest.raises(ValueError, match="no broker") as refused:
        check_mqtt("mqtt://user:secret@host/")
    assert "secret" not in str(refused.value)
