import json
import time

import pytest
from cameras import receiver

from anomalib_stmem.watching.webhook import Webhook, check_url


def test_event_arrives_after_two_failures() -> None:
    told: list[str] = []
    with receiver(failures=2) as (url, taken):
        hook = Webhook(url, told.append)
        before = time.monotonic()
        for number in (1, 2):
            hook.send({"state": "began", "id": number, "video": "gate"})
        assert time.monotonic() - before < 0.1  # nobody waits
        hook.close()
    assert [json.loads(body)["id"] for body in taken] == [1, 2]
    assert (hook.num_delivered, hook.num_lost, told) == (2, 0, [])


def test_server_that_is_not_there_costs_nothing_but_the_message() -> None:
    told: list[str] = []
    hook = Webhook("http://user:secret@127.0.0.1:9/alarm", told.append)
    hook.send({"state": "began", "id": 1, "video": "gate"})
    hook.send({"state": "ended", "id": 1, "video": "gate"})
    before = time.monotonic()
    hook.close(seconds=0.5)
    assert time.monotonic() - before < 2
    assert hook.num_lost >= 1
    assert "http://127.0.0.1:9/alarm did not get the ended of event 1 of gate" in told[0]
    assert "secret" not in "".join(told)


@pytest.mark.parametrize("url", ["ftp://host/x", "host/x", "file:///etc/passwd", "http://"])
def test_only_web_addresses(url: str) -> None:
    with pytest.raises(ValueError, match="--webhook must be a URL"):
        check_url(url)


def test_url_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(ValueError, match="A URL cannot be read") as refused:
        check_url("http://user:sec/ret@host/x")
    assert "sec/" not in str(refused.value)
