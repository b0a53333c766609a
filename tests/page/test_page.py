"""The page as a person uses it, in a real browser where there is one; and what is in it where there is none."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from anomalib_stmem.page import collect as collect_module
from anomalib_stmem.page.collect import MOST_POINTS, Media, collect
from anomalib_stmem.page.page import as_script, write_page
from anomalib_stmem.results.judged_frame import JudgedFrame, Verdict
from anomalib_stmem.results.video_results import VideoResults
from anomalib_stmem.video.frame import Frame

EVIL = '</script><script>window.evil=1</script><img src=x onerror="window.evil=1">'


def record(folder: Path, *alarms: range, count: int = 120, labelled: bool = False, films: bool = True) -> None:
    """A grey video of 10 frames per second with an alarm in each range."""
    written = VideoResults(folder, folder.name, 10.0, films)
    for index in range(count):
        alarm = any(index in stretch for stretch in alarms)
        shown = np.full((12, 16), 0.8 if alarm else 0.2, np.float32)
        score = 0.6 + 0.001 * index if alarm else 0.3
        verdict = None if index < 5 else Verdict(index, score, alarm, shown)
        frame = np.full((48, 64, 3), 60, np.uint8)
        written.push(JudgedFrame(Frame(index, index / 10, frame), verdict, alarm if labelled else None))
    written.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, three events, labels, a run whose texts are not to be trusted."""
    folder = tmp_path_factory.mktemp("results")
    record(folder / "gate", range(30, 40), range(80, 95), labelled=True)
    record(folder / "yard", range(50, 60), labelled=True)
    about = {"model": {"file": EVIL, "threshold_basis": "It rests on an hour.", "options": {"width": 16}}}
    (folder / "run.json").write_text(json.dumps(about | {"started": EVIL, "ended": None, "sources": [{"name": EVIL}]}))
    row = {"macro": 97.0} | {
        f"{how}{end}": 90.0 for how in ("none", "calibrated", "running", "per_video") for end in ("", "_low", "_high")
    }
    test = {
        "dataset": EVIL,
        "videos": 2,
        "frames_judged": 230,
        "frames_abnormal": 35,
        "threshold": "",
        "config": {"model": {}, "data": {}},
    }
    alarms = {"events": 3, "found": 2, "false_alarms": 1, "normal_hours": 0.5, "false_per_hour": 2.0}
    alarms |= {"median_delay": 0.4, "p90_delay": None, "false_per_hour_interval": [0.0, 6.0]}
    found = {f"at_{rate}{end}": 50.0 for rate in (1, 10) for end in ("", "_low", "_high")}
    test |= {"alarms": alarms, "events": {"STMem": found, EVIL: found | {"at_1": None}}}
    test |= {"metrics": {"image_AUROC": 0.987}, "tables": {"none": {"STMem": row}, "centred": {"STMem": row}}}
    (folder / "test").mkdir()
    (folder / "test" / "report.json").write_text(json.dumps(test))
    cv2.imwrite(str(folder / "test" / "perspective.png"), np.full((30, 90, 3), 200, np.uint8))
    pd.DataFrame({"epoch": [0, 1, 2], "loss": [0.5, 0.2, 0.1]}).to_csv(folder / "training.csv", index=False)
    return folder


def test_data_are_those_of_the_files(results: Path) -> None:
    media = Media()
    data = collect(results, media)
    assert [video["name"] for video in data["videos"]] == ["gate", "yard"]
    for video in data["videos"]:
        events = json.loads((results / video["name"] / "events.json").read_text())
        assert [{name: event[name] for name in events[0]} for event in video["events"]] == [
            event | {"clip": None}  # the films show them
            for event in events
        ]
        assert video["films"]["plain"] in media.held
    assert data["videos"][0]["truth"] == [(3.0, 3.9), (8.0, 9.4)]
    assert sum(data["scores"]["normal"]) == data["scores"]["count"] == 230 - 35
    assert sum(data["scores"]["abnormal"]) == 35
    assert [picture[:22] for picture in data["perspective"]] == ["data:image/jpeg;base64"]
    assert data["training"] == {"epoch": [0, 1, 2], "loss": [0.5, 0.2, 0.1]}


@pytest.mark.parametrize(("path", "title"), [("a/b/STMem/Data/v0", "STMem/Data/v0"), ("watch", "watch"), (".", "here")])
def test_title_says_which_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, title: str) -> None:
    here = tmp_path / "here"
    record(here / path / "gate", range(30, 40), count=45, films=False)
    monkeypatch.chdir(here)
    assert collect(Path(path), Media())["title"] == title
    assert collect(here / path, Media())["title"].endswith(title)


def test_scores_are_of_the_videos_with_ground_truth_where_there_are_some(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results, tmp_path / "both")
    record(tmp_path / "both" / "unknown", range(10, 100))
    assert collect(tmp_path / "both", Media())["scores"] == collect(results, Media())["scores"]
    record(tmp_path / "alone" / "unknown", range(10, 100))
    alone = collect(tmp_path / "alone", Media())["scores"]
    assert (alone["known"], alone["count"], alone["above"]) == (False, 115, 90)


def test_page_loads_nothing_and_ends_no_element_early(results: Path, tmp_path: Path) -> None:
    text = write_page(results, tmp_path / "page.html").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)""", text)
    assert "default-src 'none'" in text
    assert EVIL not in text
    assert "window.evil=1</script>" not in text
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("text", [EVIL, "<!--", "&lt;", "\u2028"])
def test_json_in_a_script_survives_unharmed(text: str) -> None:
    written = as_script({"text": text})
    assert "<" not in written
    assert json.loads(written) == {"text": text}


def test_peak_of_a_long_video_is_not_thinned_away(tmp_path: Path) -> None:
    folder = tmp_path / "long"
    record(folder, range(50, 60))
    count = 10 * MOST_POINTS
    scores = np.full(count, 0.2)
    scores[12345] = 0.9
    frames = pd.DataFrame({"frame": range(count), "seconds": np.arange(count) / 10, "pred_score": scores})
    frames.to_csv(folder / "scores.csv", index=False)
    (video,) = collect(tmp_path, Media())["videos"]
    assert len(video["score"]) == MOST_POINTS
    assert video["seconds"][int(np.argmax(video["score"]))] == 1234.5


def test_films_beyond_the_limit_are_left_out_and_said(results: Path) -> None:
    media = Media(megabytes=0.001)
    data = collect(results, media)
    assert data["videos"][0]["films"] == {"plain": None, "annotated": None}
    assert media.num_left_out > 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder, "There is no folder"),
        (lambda folder: folder.mkdir(), "No judged video in"),
        (
            lambda folder: record(folder / "a") or (folder / "a" / "events.json").write_text("[{"),
            "events.json is damaged",
        ),
        (
            lambda folder: record(folder / "a") or (folder / "a" / "scores.csv").write_text("a,b\n1,2\n"),
            "lacks pred_score",
        ),
    ],
)
def test_results_that_are_none(tmp_path: Path, make, words: str) -> None:  # noqa: ANN001
    make(tmp_path / "results")
    with pytest.raises((FileNotFoundError, ValueError), match=words):
        write_page(tmp_path / "results")


@pytest.mark.parametrize("path", ["/etc/passwd", "../../secret.mp4"])
@pytest.mark.parametrize("kind", ["clip", "snapshot"])
def test_event_shows_no_file_from_elsewhere(tmp_path: Path, kind: str, path: str) -> None:
    record(tmp_path / "out" / "gate", range(30, 40), films=False)
    (tmp_path / "secret.mp4").write_text("secret")
    events = json.loads((tmp_path / "out" / "gate" / "events.json").read_text())
    (tmp_path / "out" / "gate" / "events.json").write_text(json.dumps([events[0] | {kind: path}]))
    with pytest.raises(ValueError, match="leads out of its results folder"):
        write_page(tmp_path / "out")


@pytest.mark.parametrize(
    "file", ["gate/plain.mp4", "gate/annotated.mp4", "gate/scores.csv", "gate/events.json", "run.json", "training.csv"]
)
def test_link_shows_no_file_from_elsewhere(tmp_path: Path, file: str) -> None:
    record(tmp_path / "out" / "gate", range(30, 40))
    link, secret = tmp_path / "out" / file, tmp_path / "secret"
    if link.exists():
        link.rename(secret)
    else:
        secret.write_text('{"secret": 1, "model": {}}')
    link.symlink_to(secret)
    with pytest.raises(ValueError, match=f"{link.name} leads out of its results folder, to .*secret"):
        write_page(tmp_path / "out")
    # Within the results a link may lead anywhere.
    kept = secret.rename(link.parent / "kept")
    link.unlink()
    link.symlink_to(kept)
    if file != "training.csv":  # whose content is no table here
        assert write_page(tmp_path / "out").is_file()


def test_metric_that_is_not_defined_leaves_a_page_that_says_so(tmp_path: Path) -> None:
    """One class only: its AUROC is NaN, which is no JSON, and a browser showed nothing at all."""
    record(tmp_path / "gate", range(30, 40))
    report = {"metrics": {"image_AUROC": float("nan")}, "tables": {}, "videos": 1, "config": {"model": {}, "data": {}}}
    (tmp_path / "report.json").write_text(json.dumps(report))  # as an earlier version wrote it
    text = write_page(tmp_path).read_text()
    data = re.search(r'id="data">(.*?)</script>', text).group(1)
    assert json.loads(data, parse_constant=pytest.fail)["tests"][0]["metrics"] == {"image_AUROC": None}


# -- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed (Debian: apt install chromium chromium-driver)")
    options = Options()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(argument)
    options.add_argument("--autoplay-policy=no-user-gesture-required")
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, results: Path, tmp_path: Path) -> webdriver.Chrome:
    browser.get(write_page(results, tmp_path / "page.html").as_uri())
    WebDriverWait(browser, 10).until(lambda b: b.execute_script("return player.readyState >= 2"))
    return browser


def time_of(page: webdriver.Chrome) -> float:
    WebDriverWait(page, 5).until(lambda b: not b.execute_script("return player.seeking"))
    return float(page.execute_script("return player.currentTime"))


def test_it_loads_without_errors_and_executes_no_text(page: webdriver.Chrome) -> None:
    assert page.get_log("browser") == []
    assert page.execute_script("return window.evil === undefined")
    assert EVIL in page.find_element(By.ID, "model").text  # shown as it is


def test_events_are_those_of_the_file(page: webdriver.Chrome, results: Path) -> None:
    for index, name in enumerate(("gate", "yard")):
        page.execute_script("choose(arguments[0])", index)
        events = json.loads((results / name / "events.json").read_text())
        shown = page.find_elements(By.CSS_SELECTOR, "#events button")
        assert [one.get_attribute("data-id") for one in shown] == [str(event["id"]) for event in events]
        assert all(event["reason"] in one.text for one, event in zip(shown, events, strict=True))
        assert len(page.find_elements(By.CSS_SELECTOR, "#events img")) == len(events)


def test_click_on_the_time_line_seeks_the_player(page: webdriver.Chrome) -> None:
    timeline = page.find_element(By.ID, "timeline")
    for share in (0.25, 0.75):
        ActionChains(page).move_to_element_with_offset(
            timeline, int((share - 0.5) * timeline.size["width"]), 0
        ).click().perform()
        assert time_of(page) == pytest.approx(share * 11.9, abs=0.1)
        assert float(timeline.get_attribute("aria-valuenow")) == pytest.approx(share * 11.9, abs=0.1)


def test_click_on_an_event_seeks_its_peak(page: webdriver.Chrome) -> None:
    page.find_elements(By.CSS_SELECTOR, "#events button")[1].click()
    assert time_of(page) == pytest.approx(9.4, abs=0.06)
    assert page.find_element(By.CSS_SELECTOR, "#events [aria-current=true]").get_attribute("data-id") == "2"
    assert "0.69" in page.find_element(By.ID, "now").text


def test_page_tells_alarms_and_events_of_a_test(page: webdriver.Chrome) -> None:
    told = page.find_element(By.ID, "metrics").text
    assert "events found 2 of 3" in told
    assert "false alarms per hour 2.0 [0.0, 6.0]" in told
    assert "delay, half of the events within 0.4 s" in told
    assert "STMem 50 [50, 50] 50 [50, 50]" in told


def test_ticks_make_the_command_that_accepts(browser: webdriver.Chrome, tmp_path: Path) -> None:
    folder = tmp_path / "my results"
    record(folder / "gate", range(30, 40), range(80, 95))
    model = {"file": "models/gate.ckpt", "threshold_basis": "", "options": {}}
    (folder / "run.json").write_text(json.dumps({"model": model, "started": "", "ended": None, "sources": []}))
    browser.get(write_page(folder, tmp_path / "page.html").as_uri())
    assert not browser.find_element(By.ID, "command").is_displayed()
    boxes = browser.find_elements(By.CSS_SELECTOR, "#events input")
    assert len(boxes) == 2
    boxes[1].click()
    command = browser.find_element(By.ID, "command")
    assert command.text == f"stmem accept '{folder}' gate/2 --ckpt models/gate.ckpt --out accepted.ckpt"
    browser.find_element(By.ID, "copy").click()
    boxes[0].click()
    assert " gate/2 gate/1 " in command.text
    boxes[0].click()
    boxes[1].click()
    assert not command.is_displayed()
    assert browser.get_log("browser") == []


def test_keys(page: webdriver.Chrome) -> None:
    def press(key: str) -> float:
        ActionChains(page).send_keys(key).perform()
        return time_of(page)

    page.execute_script("seek(0)")
    assert press("n") == pytest.approx(3.9, abs=0.06)
    assert press("n") == pytest.approx(9.4, abs=0.06)
    assert press("p") == pytest.approx(3.9, abs=0.06)
    assert press("\ue014") == pytest.approx(4.9, abs=0.06)  # right
    assert press("\ue011") == pytest.approx(0, abs=0.06)  # home


def test_heat_map_is_switched_at_the_same_moment(page: webdriver.Chrome) -> None:
    page.execute_script("seek(8.5)")
    before = time_of(page), page.execute_script("return player.videoHeight")
    page.find_element(By.ID, "heat").click()
    WebDriverWait(page, 5).until(
        lambda b: b.execute_script("return player.readyState >= 2 && player.videoHeight") == 240
    )
    assert (time_of(page), before[1]) == (pytest.approx(before[0], abs=0.06), 288)
    assert page.find_element(By.ID, "heat").get_attribute("aria-pressed") == "false"


def test_it_fits_a_phone_and_follows_light_and_dark(page: webdriver.Chrome) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    papers = []
    for scheme in ("light", "dark"):
        wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
        page.refresh()
        papers.append(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert papers == ["rgb(246, 247, 249)", "rgb(18, 21, 26)"]


def test_live_results_play_the_clips_of_events(browser: webdriver.Chrome, tmp_path: Path) -> None:
    record(tmp_path / "out" / "gate", range(50, 60), films=False)
    browser.get(write_page(tmp_path / "out").as_uri())
    WebDriverWait(browser, 10).until(lambda b: b.execute_script("return player.readyState >= 2"))
    assert browser.execute_script("return moment()") == pytest.approx(5.9, abs=0.1)
    assert not browser.find_element(By.ID, "heat").is_enabled()
    assert browser.get_log("browser") == []


def test_results_without_any_event_or_film(browser: webdriver.Chrome, tmp_path: Path) -> None:
    record(tmp_path / "out" / "gate", films=False)
    browser.get(write_page(tmp_path / "out").as_uri())
    assert "Nothing was filmed" in browser.find_element(By.ID, "nothing").text
    assert browser.get_log("browser") == []


def test_metric_that_is_not_defined_is_shown_with_why(browser: webdriver.Chrome, tmp_path: Path) -> None:
    record(tmp_path / "gate", range(30, 40), films=False)
    columns = ("none", "calibrated", "running", "per_video")
    row = {f"{how}{end}": float("nan") for how in columns for end in ("", "_low", "_high")} | {"macro": float("nan")}
    about = {"dataset": "mine", "frames_judged": 9, "videos": 1, "frames_abnormal": 0, "threshold": "", "config": {}}
    report = about | {"metrics": {"image_AUROC": float("nan"), "F1": 0.5}, "tables": {"none": {"STMem": row}}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    browser.get(write_page(tmp_path).as_uri())
    shown = browser.find_element(By.ID, "metrics").text
    assert "image_AUROC not defined: it needs both normal and abnormal frames, or masks" in shown
    assert "F1 0.5000" in shown
    assert browser.find_element(By.ID, "model").text  # all of the page is there
    assert browser.get_log("browser") == []


def test_page_of_very_many_events_has_pictures_of_the_highest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_module, "MOST_PICTURES", 2)
    record(tmp_path / "gate", range(30, 40), range(80, 95))
    record(tmp_path / "yard", range(50, 60))
    data = collect(tmp_path, Media())
    events = [event for video in data["videos"] for event in video["events"]]
    assert data["pictures_left_out"] == 1
    lowest = min(events, key=lambda event: event["score"])
    assert [event["thumbnail"] is None for event in events] == [event is lowest for event in events]
