"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const player = $("player"), timeline = $("timeline");

// -- small makers: text is always set as text, never as HTML ---------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function draw(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const clock = (seconds) => {
  const whole = Math.max(0, seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return `${hours ? hours + ":" : ""}${String(minutes).padStart(hours ? 2 : 1, "0")}:${(whole % 60).toFixed(1).padStart(4, "0")}`;
};
const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

// -- films: held as text in the page, made playable when first wanted -------------------------------------------------

const playable = new Map();
function film(name) {
  if (!playable.has(name)) {
    const bytes = Uint8Array.from(atob($(name).textContent), (letter) => letter.charCodeAt(0));
    playable.set(name, URL.createObjectURL(new Blob([bytes], { type: "video/mp4" })));
  }
  return playable.get(name);
}

// -- what is shown ----------------------------------------------------------------------------------------------------

let video = null, heat = true, current = null, begins = 0;  // begins: time in the video of the start of the film shown
const moment = () => begins + player.currentTime;
const length = () => Math.max(video.last, 0.001);

function show(source, start, time, playing) {
  begins = start;
  if (player.dataset.shown !== source) {
    player.dataset.shown = source;
    player.src = film(source);
  }
  player.currentTime = Math.max(0, time - start);
  if (playing) player.play();
}

function seek(time) {
  time = Math.min(Math.max(time, 0), length());
  const { plain, annotated } = video.films, whole = heat ? annotated ?? plain : plain ?? annotated;
  const event = video.events.findLast((one) => one.clip_start <= time) ?? video.events[0];
  if (whole) show(whole, 0, time, !player.paused);
  else if (event && event.clip) show(event.clip, event.clip_start, time, !player.paused);
  point(time);
}

function point(time) {
  const cursor = timeline.querySelector(".cursor");
  const place = (1000 * time) / length();
  cursor.setAttribute("x1", place);
  cursor.setAttribute("x2", place);
  let low = 0, high = video.seconds.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (video.seconds[middle] <= time + 1e-6) low = middle; else high = middle - 1;
  }
  const score = video.seconds[low] <= time + 1e-6 ? video.score[low] : null;
  $("now").textContent = `${clock(time)}  ${score === null ? "warming up" : score.toFixed(2)}`;
  $("now").className = score > data.threshold ? "alarm" : "";
  timeline.setAttribute("aria-valuenow", time.toFixed(1));
  timeline.setAttribute("aria-valuetext", $("now").textContent);
  current = video.events.findLast((event) => event.start <= time + 0.05 && time <= event.end + 0.05) ?? null;
  for (const button of $("events").querySelectorAll("button"))
    button.setAttribute("aria-current", current !== null && button.dataset.id === String(current.id));
}

function choose(index) {
  video = data.videos[index];
  $("videos").selectedIndex = index;
  drawTimeline();
  listEvents();
  const { plain, annotated } = video.films, playsSomething = plain || annotated || video.events.some((one) => one.clip);
  player.pause();
  player.hidden = !playsSomething;
  $("nothing").hidden = Boolean(playsSomething);
  $("nothing").textContent = data.media_left_out
    ? "The films are too large for one page. They lie in the results folder."
    : "Nothing was filmed: no event, and only events of live video are.";
  $("heat").disabled = !(plain && annotated);
  if (!playsSomething) player.removeAttribute("src");
  seek(video.events.length ? video.events[0].peak : 0);
}

// -- timeline ---------------------------------------------------------------------------------------------------------

function drawTimeline() {
  const across = (seconds) => (1000 * seconds) / length(), up = (score) => 120 * (1 - score);
  const path = video.seconds.map((time, place) => `${place ? "L" : "M"}${across(time)} ${up(video.score[place])}`).join("");
  const limit = up(data.threshold);
  const band = (start, end, kind) =>
    draw("rect", { class: kind, x: across(start), width: Math.max(2, across(end) - across(start)), y: 0, height: 120 });
  const picture = draw("svg", { viewBox: "0 0 1000 120", preserveAspectRatio: "none", "aria-hidden": "true" });
  picture.append(draw("clipPath", { id: "above" }, draw("rect", { x: 0, y: 0, width: 1000, height: limit })));
  picture.append(draw("rect", { class: "frame", x: 0, y: 0, width: 1000, height: 120 }));
  for (const event of video.events) picture.append(band(event.start, event.end, "event"));
  for (const [start, end] of video.truth ?? []) {
    const mark = band(start, end, "truth");
    mark.setAttribute("y", 104);
    mark.setAttribute("height", 16);
    picture.append(mark);
  }
  picture.append(
    draw("path", { class: "score", d: path }),
    draw("path", { class: "high", d: path, "clip-path": "url(#above)" }),
    draw("line", { class: "threshold", x1: 0, x2: 1000, y1: limit, y2: limit }),
    draw("line", { class: "cursor", x1: 0, x2: 0, y1: 0, y2: 120 }),
  );
  timeline.replaceChildren(picture);
  timeline.setAttribute("aria-valuemax", length().toFixed(1));
  $("from").textContent = clock(0);
  $("to").textContent = clock(length());
  const meaning = { score: "score", alarm: "above threshold", mark: "event", truth: "abnormal (ground truth)" };
  const shown = Object.entries(meaning).filter(([colour]) => colour !== "truth" || video.truth);
  const swatch = (colour) => make("i", { class: "swatch", style: `background:var(--${colour})` });
  $("legend").replaceChildren(...shown.flatMap(([colour, words]) => [make("span", {}, swatch(colour), words), " "]));
}

const timeAt = (event) => {
  const box = timeline.getBoundingClientRect();
  return (length() * (event.clientX - box.left)) / box.width;
};
timeline.addEventListener("pointerdown", (event) => {
  timeline.setPointerCapture(event.pointerId);
  seek(timeAt(event));
});
timeline.addEventListener("pointermove", (event) => {
  if (event.buttons) seek(timeAt(event));
});

// -- events -----------------------------------------------------------------------------------------------------------

const AT_ONCE = 300;  // events that are listed before the page is shown; thousands would take seconds

function listEvents() {
  const without = data.pictures_left_out ? `; of all videos, ${data.pictures_left_out} lower ones are without picture and clip` : "";
  $("events-title").textContent = plural(video.events.length, "event") + without;
  $("events").replaceChildren();
  if (!video.events.length) $("events").append(make("li", {}, "No score was above the threshold."));
  listFrom(0, video);
}

function listFrom(first, of) {
  if (of !== video || first >= of.events.length) return;
  $("events").append(...of.events.slice(first, first + AT_ONCE).map(listed));
  setTimeout(listFrom, 0, first + AT_ONCE, of);
}

function listed(event) {
  const when = `${clock(event.start)} to ${clock(event.end)}`, time = event.time ? make("small", {}, event.time) : null;
  const words = make("span", {}, make("strong", {}, when), time, make("small", {}, event.reason));
  const picture = event.thumbnail ? make("img", { src: event.thumbnail, alt: `Peak of event ${event.id}` }) : null;
  const like = event.nearest
    ? make("figure", {}, make("img", { src: event.nearest, alt: "" }), make("figcaption", {}, "most like it in normal video"))
    : null;
  const shape = picture === null ? "bare" : "pictured";
  const button = make("button", { type: "button", "data-id": event.id, class: shape }, picture, words, like);
  button.setAttribute("aria-current", event === current);
  button.addEventListener("click", () => seek(event.peak));
  return make("li", {}, button, canBeAccepted(event) ? tick(event) : null);
}

// What `stmem accept` needs: a watch of one checkpoint; what is wrong with the camera itself is not accepted.
const watched = data.runs.length === 1 ? data.runs[0] : null;
const canBeAccepted = (event) => watched !== null && String(watched.model.file).endsWith(".ckpt") && event.kind !== "camera";
const normal = new Set();

function tick(event) {
  const name = `${event.video}/${event.id}`;
  const box = make("input", { type: "checkbox" });
  box.checked = normal.has(name);
  box.addEventListener("change", () => {
    box.checked ? normal.add(name) : normal.delete(name);
    tellCommand();
  });
  return make("label", {}, box, "This is normal");
}

function tellCommand() {
  const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  const words = ["stmem", "accept", data.results, ...normal, "--ckpt", String(watched.model.file), "--out", "accepted.ckpt"];
  $("command").textContent = words.map(quoted).join(" ");
  $("normal").hidden = !normal.size;
}
$("copy").addEventListener("click", () => {
  getSelection().selectAllChildren($("command"));
  document.execCommand("copy"); // the clipboard's own interface is not there in a page from a file
});

function step(direction) {
  const now = moment(), events = video.events;
  const next = direction > 0 ? events.find((one) => one.peak > now + 0.05) : events.findLast((one) => one.peak < now - 0.05);
  if (next) seek(next.peak);
}

// -- keys, player, theme ----------------------------------------------------------------------------------------------

function toggleHeat() {
  if ($("heat").disabled) return;
  heat = !heat;
  $("heat").setAttribute("aria-pressed", heat);
  seek(moment());
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const onButton = event.target.tagName === "BUTTON" || event.target === player;
  const key = event.key.toLowerCase();
  if (key === " " && onButton) return;
  if (key === " ") player.paused ? player.play() : player.pause();
  else if (key === "arrowright" || key === "arrowleft") seek(moment() + (key === "arrowright" ? 1 : -1) * (event.shiftKey ? 10 : 1));
  else if (key === "home") seek(0);
  else if (key === "end") seek(length());
  else if (key === "n") step(1);
  else if (key === "p") step(-1);
  else if (key === "h") toggleHeat();
  else return;
  event.preventDefault();
});
$("heat").addEventListener("click", toggleHeat);
$("videos").addEventListener("change", () => choose($("videos").selectedIndex));
player.addEventListener("loadedmetadata", () => {
  // The score strip under an annotated film is left out: the time line is there.
  const strip = player.dataset.shown === video.films.plain ? 0 : data.strip;
  const ratio = player.videoWidth / (player.videoHeight - strip);
  $("screen").style.aspectRatio = ratio;
  $("screen").style.maxWidth = `calc(62vh * ${ratio})`;
});
player.addEventListener("timeupdate", () => point(moment()));
(function follow() {
  if (video !== null && !player.paused) point(moment());
  requestAnimationFrame(follow);
})();
const dark = matchMedia("(prefers-color-scheme: dark)");
const setTheme = (isDark) => document.documentElement.setAttribute("data-theme", isDark ? "dark" : "light");
dark.addEventListener("change", () => setTheme(dark.matches));
$("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme !== "dark"));
setTheme(dark.matches);

// -- distribution, metrics, model -------------------------------------------------------------------------------------

function drawDistribution() {
  const { known, normal, abnormal, above, count } = data.scores, bins = normal.length;
  const highest = Math.max(...normal, ...abnormal, 1), height = (value) => 150 * Math.sqrt(value / highest);
  const picture = draw("svg", { viewBox: "0 0 400 190", role: "img", "aria-label": "How often each score was seen" });
  [["normal-bar", normal], ["abnormal-bar", abnormal]].forEach(([kind, counts], which) =>
    counts.forEach((value, bin) => {
      const wide = 400 / bins / (known ? 2 : 1);
      const place = { x: (400 * bin) / bins + (known ? which * wide : 0), y: 160 - height(value) };
      picture.append(draw("rect", { class: kind, ...place, width: wide * 0.9, height: height(value) }));
    }));
  const limit = 400 * data.threshold;
  picture.append(draw("line", { class: "threshold", x1: limit, x2: limit, y1: 0, y2: 160 }));
  const label = (x, y, anchor, text) => picture.append(draw("text", { x, y, "text-anchor": anchor }, text));
  label(0, 176, "start", "score 0");
  label(400, 176, "end", "1");
  label(limit + 5, 12, "start", "threshold");
  $("distribution").append(picture);
  const kind = known ? "normal frames" : "frames";
  const share = count ? ((100 * above) / count).toFixed(1) : "0";
  const basis = [...data.runs.map((run) => run.model.threshold_basis), ...data.tests.map((test) => test.threshold)];
  $("distribution-says").textContent =
    `${known ? "" : "Without ground truth: "}${above} of ${count} ${kind} (${share} %) are above the threshold. Heights are square roots of counts` +
    `${known ? "; blue is normal, red abnormal" : ""}. ${[...new Set(basis.filter(Boolean))].join(" ")}`;
}

function table(headings, rows) {
  const row = (cells, tag) => make("tr", {}, ...cells.map((cell) => make(tag, {}, String(cell))));
  return make("div", { class: "wide" }, make("table", {}, make("thead", {}, row(headings, "th")), make("tbody", {}, ...rows.map((cells) => row(cells, "td")))));
}

function list(facts) {
  return make("dl", {}, ...Object.entries(facts).flatMap(([name, value]) => {
    const text = value !== null && typeof value === "object" ? JSON.stringify(value) : String(value);
    return [make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, text)];
  }));
}

const UNDEFINED = "not defined: it needs both normal and abnormal frames, or masks";

const figure = (value, digits, unit = "") => (value === null || value === undefined ? "-" : value.toFixed(digits) + unit);

function tellAlarms(alarms) {
  const [low, high] = alarms.false_per_hour_interval;
  return table(["at the default threshold", ""], [
    ["events found", `${alarms.found} of ${alarms.events}`],
    ["false alarms", `${alarms.false_alarms} in ${(60 * alarms.normal_hours).toFixed(1)} min of normal video`],
    ["false alarms per hour", `${figure(alarms.false_per_hour, 1)} [${figure(low, 1)}, ${figure(high, 1)}]`],
    ["delay, half of the events within", figure(alarms.median_delay, 1, " s")],
    ["delay, nine of ten within", figure(alarms.p90_delay, 1, " s")],
  ]);
}

function tellEvents(scores) {
  const found = (row, rate) => `${figure(row[`at_${rate}`], 0)} [${figure(row[`at_${rate}_low`], 0)}, ${figure(row[`at_${rate}_high`], 0)}]`;
  const rows = Object.entries(scores).map(([name, row]) => [name, found(row, 1), found(row, 10)]);
  const whole = table(["score", "at 1 false alarm per hour", "at 10"], rows);
  return make("details", { open: "" }, make("summary", {}, "Events found, in %"), whole);
}

function tellMetrics() {
  const place = $("metrics");
  if (!data.tests.length) place.append(make("p", {}, "No ground truth, so no metrics: `anomalib test` measures where there is."));
  for (const test of data.tests) {
    place.append(make("h3", {}, `${test.dataset}: ${test.frames_judged} frames of ${plural(test.videos, "video")}, ${test.frames_abnormal} abnormal`));
    place.append(table(["metric", "value"], Object.entries(test.metrics).map(([name, value]) => [name, value === null ? UNDEFINED : value.toFixed(4)])));
    if (test.alarms) place.append(tellAlarms(test.alarms));
    if (test.events) place.append(tellEvents(test.events));
    for (const [smoothing, scores] of Object.entries(test.tables)) {
      const columns = { none: "no normalisation", calibrated: "calibrated (live)", running: "running", per_video: "per video*" };
      const rounded = (value, digits) => (value === null ? "-" : value.toFixed(digits));
      const interval = (row, how) => (row[how] === null ? "-" : `${rounded(row[how], 1)} [${rounded(row[how + "_low"], 0)}, ${rounded(row[how + "_high"], 0)}]`);
      const cells = ([name, row]) => [name, ...Object.keys(columns).map((how) => interval(row, how)), rounded(row.macro, 1)];
      const whole = table(["score", ...Object.values(columns), "macro"], Object.entries(scores).map(cells));
      const folded = make("details", smoothing === "none" ? { open: "" } : {}, make("summary", {}, `Frame AUROC in %, smoothing: ${smoothing}`), whole);
      place.append(folded);
    }
    place.append(make("p", {}, "Brackets: 95 % interval over videos. * Stretches each whole test video; no live camera can."));
  }
}

function drawLosses({ epoch, loss }) {
  const low = Math.min(...loss), span = Math.max(...loss) - low || 1, wide = Math.max(1, epoch.length - 1);
  const path = loss.map((value, place) => `${place ? "L" : "M"}${(400 * place) / wide} ${100 - (95 * (value - low)) / span}`).join("");
  const picture = draw("svg", { viewBox: "0 0 400 120", preserveAspectRatio: "none", role: "img", "aria-label": "Loss by epoch" });
  picture.append(draw("path", { class: "score", d: path }));
  return make("div", {}, make("h3", {}, `Loss over ${plural(epoch.length, "epoch")}: ${loss[0].toFixed(4)} to ${loss.at(-1).toFixed(4)}`), make("div", { class: "loss" }, picture));
}

function tellModel() {
  const place = $("model");
  if (data.training) place.append(drawLosses(data.training));
  for (const src of data.perspective) place.append(make("img", { src, class: "perspective", alt: "How large errors and speed usually are, by row of the picture" }));
  for (const run of data.runs) {
    const { options, ...model } = run.model;
    place.append(make("h3", {}, `Watched from ${run.started} to ${run.ended ?? "(it was not ended properly)"}`), list(model));
    if (options && Object.keys(options).length) place.append(make("details", {}, make("summary", {}, "Options of its training"), list(options)));
    const columns = ["name", "source", "frame_rate", "frames_judged", "frames_dropped", "gaps", "reconnects", "events", "failure"];
    const rows = (run.sources ?? []).map((source) => columns.map((name) => {
      const value = source[name] ?? "";
      return typeof value === "number" && !Number.isInteger(value) ? value.toFixed(2) : value;
    }));
    place.append(table(columns.map((name) => name.replaceAll("_", " ")), rows));
  }
  for (const test of data.tests) {
    const { metrics, tables, config, ...facts } = test;
    place.append(make("h3", {}, "Tested"), list(facts), make("details", {}, make("summary", {}, "Options of model and data"), list({ ...config.model, ...config.data })));
  }
  if (!data.runs.length && !data.tests.length) place.append(make("p", {}, "The results do not say which model judged them."));
}

// -- begin ------------------------------------------------------------------------------------------------------------

$("title").textContent = data.title;
const seen = data.videos.reduce((sum, one) => sum + one.last, 0), events = data.videos.reduce((sum, one) => sum + one.events.length, 0);
$("summary").textContent = `${plural(data.videos.length, "video")}, ${clock(seen)} in all, ${plural(events, "event")}`;
$("videos").append(...data.videos.map((one) => make("option", {}, `${one.name} (${plural(one.events.length, "event")})`)));
$("choose").hidden = data.videos.length === 1;
$("heat").setAttribute("aria-pressed", heat);
drawDistribution();
tellMetrics();
tellModel();
choose(Math.max(0, data.videos.findIndex((one) => one.events.length)));
