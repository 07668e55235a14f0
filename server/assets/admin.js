"use strict";
// Asks for /status once a second, keeps ten minutes of what it says, and draws it. Everything is computed from differences
// of counters on the server's own clock, so a late answer makes no spike.

const PERIOD_MS = 1000;
const PATIENCE_MS = 3000;
const KEPT = 600;
const byId = (id) => document.getElementById(id);
const put = (id, text) => { byId(id).textContent = text; };

// ---- Numbers as people read them.

function figure(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  if (value < 1) return value.toFixed(2);
  if (value < 10) return value.toFixed(Number.isInteger(value) ? 0 : 1);
  if (value < 10000) return Math.round(value).toString();
  if (value < 1e6) return (value / 1e3).toFixed(value < 1e5 ? 1 : 0) + "k";
  return (value / 1e6).toFixed(1) + "M";
}

function time(seconds) {
  if (seconds === null || seconds === undefined) return ["–", ""];
  if (seconds < 0.001) return [Math.round(seconds * 1e6).toString(), "µs"];
  if (seconds < 1) return [(seconds * 1e3).toFixed(seconds < 0.1 ? 1 : 0), "ms"];
  return [seconds.toFixed(seconds < 10 ? 2 : 1), "s"];
}

function duration(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

// One unit is enough for what is past.
function ago(seconds) {
  if (seconds < 100) return `${Math.floor(seconds)} s ago`;
  return seconds < 6000 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3600)} h ago`;
}

const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds) % 60).padStart(2, "0")}`;
const mebibytes = (bytes) => (bytes === null ? "–" : `${(bytes / 1048576).toFixed(1)} MiB`);

// ---- From two looks at the server to what happened between them.

const total = (answered) => Object.values(answered).reduce((sum, count) => sum + count, 0);
const failed = (answered) => answered.cut + answered["5xx"];

// The time that a share of the requests between two looks stayed below, taken to be spread evenly within a bucket.
function quantile(before, after, share) {
  const counts = after.buckets.map(([, count], index) => count - before.buckets[index][1]);
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all <= 0) return null;
  const rank = share * all;
  let below = 0;
  let lower = 0;
  for (let index = 0; index < counts.length; index++) {
    const upper = after.buckets[index][0];
    if (upper === null) return lower;
    if (counts[index] > 0 && below + counts[index] >= rank) return lower + (upper - lower) * (rank - below) / counts[index];
    below += counts[index];
    lower = upper;
  }
  return lower;
}

const sum = (workers, field) => workers.reduce((all, worker) => all + worker[field], 0);

function sample(before, now) {
  const span = now.uptime_seconds - before.uptime_seconds;
  const { totals } = now;
  return {
    at: now.uptime_seconds,
    rate: (total(now.served.answered) - total(before.served.answered)) / span,
    errors: (failed(now.served.answered) - failed(before.served.answered)) / span,
    p50: quantile(before.served.latency, now.served.latency, 0.5),
    p99: quantile(before.served.latency, now.served.latency, 0.99),
    busy: now.workers.filter((worker) => worker.busy && worker.phase === "ready").length,
    idle: totals.idle,
    leaving: totals.kill_pending,
    starting: totals.starting,
    running: sum(now.workers, "in_flight"),
    waiting: sum(now.workers, "queued") + now.backlog,
    threads: sum(now.workers, "threads"),
  };
}

// ---- Charts.

// Room for the names of heights, and beside the latest second.
const LEFT = 52;
const RIGHT = 6;
const SVG = "http://www.w3.org/2000/svg";
function svg(name, attributes, parent) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (parent) parent.append(element);
  return element;
}

// The lowest top of an axis that has a good name, as has its half. `whole`: half of a process is none.
function niceTop(value, whole) {
  if (whole && value <= 2) return 2;
  const unit = 10 ** Math.floor(Math.log10(value));
  const steps = whole && unit === 1 ? [2, 4, 6, 8, 10] : [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10];
  return steps.map((step) => step * unit).find((step) => step >= value * 1.02) || 12 * unit;
}

class Chart {
  constructor(id, series, options) {
    this.series = series;
    this.options = options;
    const figureElement = byId(id);
    this.legend = document.createElement("div");
    this.legend.className = "legend";
    this.values = series.map((one) => {
      const entry = document.createElement("span");
      const swatch = svg("svg", { viewBox: "0 0 22 10", "aria-hidden": "true" });
      if (one.fill) svg("rect", { x: 0, y: 1, width: 22, height: 8, rx: 2, class: one.fill }, swatch);
      if (one.line) svg("line", { x1: 0, y1: 5, x2: 22, y2: 5, class: `line ${one.line}` }, swatch);
      const value = document.createElement("b");
      entry.append(swatch, one.label, " ", value);
      this.legend.append(entry);
      return value;
    });
    this.plot = svg("svg", { class: "plot", role: "img" });
    figureElement.append(this.legend, this.plot);
    this.plot.addEventListener("pointermove", (event) => point(this, event));
    this.plot.addEventListener("pointerleave", () => point(null));
    new ResizeObserver(() => this.draw()).observe(this.plot);
  }

  // Heights of the stacked series from the ground up, or each series' own.
  stack(one) {
    let height = 0;
    return this.series.map(({ key }) => {
      const value = one[key];
      if (!this.options.stacked || value === null) return value;
      height += value;
      return height;
    });
  }

  draw() {
    const width = this.plot.clientWidth;
    const height = this.plot.clientHeight;
    if (!width || !height) return;
    const { samples, span, marks, cursor } = view;
    const [left, right, top, bottom] = [LEFT, width - RIGHT, 12, height - 20];
    const end = samples.length ? samples[samples.length - 1].at : 0;
    const visible = samples.filter((one) => one.at >= end - span);
    const stacks = visible.map((one) => this.stack(one));
    const most = stacks.flat().reduce((max, value) => Math.max(max, value || 0), this.options.least);
    const ceiling = niceTop(most, this.options.whole);
    const x = (at) => right - (end - at) / span * (right - left);
    const y = (value) => bottom - value / ceiling * (bottom - top);

    this.plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.plot.replaceChildren();
    for (const part of [0, 0.5, 1]) {
      const line = y(ceiling * part);
      svg("line", { x1: left, x2: right, y1: line, y2: line, class: part ? "grid" : "axis" }, this.plot);
      svg("text", { x: left - 8, y: line + 4, "text-anchor": "end" }, this.plot).textContent = this.options.tick(ceiling * part);
    }
    for (let back = 0; back <= span; back += span / 4) {
      const anchor = back === 0 ? "end" : back === span ? "start" : "middle";
      const label = back === 0 ? "now" : `−${minutes(back)}`;
      svg("text", { x: x(end - back), y: height - 5, "text-anchor": anchor }, this.plot).textContent = label;
    }

    // From the highest of a stack down, so that each covers what is below it.
    for (let index = this.series.length - 1; index >= 0; index--) {
      const { fill, line, step } = this.series[index];
      for (const run of this.runs(visible, stacks, index)) {
        const path = run.map(([at, value], place) => {
          const corner = step && place ? `H${x(at).toFixed(1)}` : "";
          return `${corner}${place ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
        }).join("");
        if (fill) {
          const ground = `V${bottom}H${x(run[0][0]).toFixed(1)}Z`;
          svg("path", { d: path + ground, class: `area ${step ? "steps" : ""} ${fill}` }, this.plot);
        }
        if (line) svg("path", { d: path, class: `line ${line}` }, this.plot);
      }
    }
    if (this.options.marks) {
      for (const { at, up } of marks.filter((mark) => mark.at >= end - span)) {
        const [middle, d] = [x(at), 5];
        const shape = up ? `M${middle - d} ${top}h${2 * d}l${-d} ${-2 * d + 1}z` : `M${middle - d} ${top - 9}h${2 * d}l${-d} ${2 * d - 1}z`;
        svg("path", { d: shape, class: up ? "mark-up" : "mark-down" }, this.plot);
      }
    }
    const at = cursor === null ? null : visible.find((one) => one.at >= end - cursor);
    if (at) svg("line", { x1: x(at.at), x2: x(at.at), y1: top, y2: bottom, class: "cross" }, this.plot);
    const shown = at || samples[samples.length - 1];
    const spoken = this.series.map(({ key, label }, index) => {
      const text = shown ? this.options.show(shown[key]) : "–";
      this.values[index].textContent = text;
      return `${label} ${text}`;
    });
    this.plot.setAttribute("aria-label", spoken.join(", "));
    this.plot.dataset.points = visible.filter((one) => !one.gap).length;
  }

  // Pieces without a gap, as [time, height].
  runs(visible, stacks, index) {
    const runs = [];
    let run = [];
    visible.forEach((one, place) => {
      const value = stacks[place][index];
      if (one.gap || value === null || value === undefined) {
        if (run.length) runs.push(run);
        run = [];
      } else {
        run.push([one.at, value]);
      }
    });
    if (run.length) runs.push(run);
    // A lone point would not be seen.
    return runs.map((piece) => (piece.length > 1 ? piece : [[piece[0][0] - 0.6, piece[0][1]], piece[0]]));
  }
}

const shownTime = (seconds) => time(seconds).join(" ").trim();
// Without zeros that say nothing: 50 ms.
const shortTime = (seconds) => (seconds === 0 ? "0" : shownTime(seconds).replace(/\.0+ /, " "));
const view = { samples: [], marks: [], span: 120, cursor: null };
const charts = [
  new Chart("c-rate", [
    { key: "rate", label: "answered", line: "s-blue", fill: "f-wash" },
    { key: "errors", label: "failed", line: "s-red d-dash" },
  ], { least: 1, tick: figure, show: (value) => `${figure(value)}/s` }),
  new Chart("c-latency", [
    { key: "p50", label: "median", line: "s-blue" },
    { key: "p99", label: "99th percentile", line: "s-orange d-dash" },
  ], { least: 0.001, tick: shortTime, show: shownTime }),
  new Chart("c-workers", [
    { key: "busy", label: "busy", fill: "f-busy", step: true },
    { key: "idle", label: "idle", fill: "f-idle", step: true },
    { key: "leaving", label: "leaving", fill: "f-leaving", step: true },
    { key: "starting", label: "starting", fill: "f-starting", step: true },
  ], { least: 2, tick: figure, show: figure, whole: true, stacked: true, marks: true }),
  new Chart("c-calls", [
    { key: "running", label: "running", line: "s-blue", fill: "f-wash" },
    { key: "waiting", label: "waiting", line: "s-orange d-dash" },
    { key: "threads", label: "threads", line: "s-grey d-dot", step: true },
  ], { least: 2, tick: figure, show: figure, whole: true }),
];

function point(chart, event) {
  if (chart) {
    const box = chart.plot.getBoundingClientRect();
    const [left, right] = [LEFT, box.width - RIGHT];
    const share = (right - (event.clientX - box.left)) / (right - left);
    view.cursor = Math.min(Math.max(share, 0), 1) * view.span;
    put("cursor", `${minutes(view.cursor)} ago`);
  } else {
    view.cursor = null;
    put("cursor", "Now");
  }
  charts.forEach((one) => one.draw());
}

for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => {
    view.span = Number(button.dataset.span);
    for (const other of document.querySelectorAll("[data-span]")) other.setAttribute("aria-pressed", other === button);
    charts.forEach((one) => one.draw());
  });
}

// ---- Everything around the charts.

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function showTiles(status, before) {
  const { totals, served } = status;
  const span = before ? status.uptime_seconds - before.uptime_seconds : 0;
  const answered = total(served.answered);
  const rate = span > 0 ? (answered - total(before.served.answered)) / span : null;
  const errors = span > 0 ? (failed(served.answered) - failed(before.served.answered)) / span : null;
  put("t-rate", figure(rate));
  put("t-total", `${answered.toLocaleString("en")} in all`);
  for (const [name, share] of [["p50", 0.5], ["p99", 0.99]]) {
    const [value, unit] = time(before ? quantile(before.served.latency, served.latency, share) : null);
    put(`t-${name}`, value);
    put(`u-${name}`, unit);
  }
  put("t-workers", totals.total);
  put("u-workers", totals.total === 1 ? "process" : "processes");
  const states = [[totals.busy, "busy"], [totals.idle, "idle"], [totals.kill_pending, "leaving"], [totals.starting, "starting"]];
  put("t-states", states.filter(([count], index) => count || index < 2).map((state) => state.join(" ")).join(", "));
  const running = sum(status.workers, "in_flight");
  put("t-calls", running);
  put("u-calls", `of ${sum(status.workers, "threads")} threads`);
  put("t-queue", `${sum(status.workers, "queued")} queued, backlog ${status.backlog}`);
  put("t-errors", figure(errors));
  put("t-refused", `${failed(served.answered)} in all, ${served.refused} refused`);
  byId("tile-errors").classList.toggle("alarm", errors > 0);
}

// Nothing of tasks is shown where there never was one.
function showTasks(tasks) {
  const counts = Object.entries(tasks);
  const were = counts.some(([, count]) => count > 0);
  byId("tasks").hidden = !were;
  byId("main").classList.toggle("with-tasks", were);
  put("tasks", `Background tasks: ${counts.map(([state, count]) => `${count.toLocaleString("en")} ${state}`).join(", ")}`);
}

function showDecisions(decisions) {
  const rows = decisions.slice().reverse().map((decision) => {
    const row = element("li");
    row.append(element("time", ago(decision.seconds_ago)));
    const actions = decision.actions.map((action) => action.replace("spawn", "▲ spawn").replace("retire", "▽ retire"));
    const kind = decision.actions.length === 0 ? "bad" : decision.actions[0].startsWith("spawn") ? "good" : "plain";
    const chips = element("span");
    chips.append(element("span", actions.join(", ") || "no action", `chip ${kind}`));
    row.append(chips, element("p", decision.reason));
    return row;
  });
  if (!rows.length) rows.push(element("li", "None yet: what was started first is enough.", "empty"));
  byId("decisions").replaceChildren(...rows);
}

function showWorkers(status, before) {
  const earlier = new Map((before ? before.workers : []).map((worker) => [worker.generation, worker]));
  const span = before ? status.uptime_seconds - before.uptime_seconds : 0;
  byId("workers").replaceChildren(...status.workers.map((worker) => {
    const row = element("tr");
    const known = earlier.get(worker.generation);
    const rate = known && span > 0 ? (worker.requests - known.requests) / span : null;
    const state = worker.phase === "ready" ? (worker.busy ? "busy" : "idle") : worker.phase === "draining" ? "leaving" : worker.phase;
    const kind = { busy: "good", idle: "plain", leaving: "bad" }[state] || "";
    const chip = element("td", undefined, "text");
    chip.append(element("span", state, `chip ${kind}`));
    const load = element("td");
    const meter = element("meter");
    meter.max = Math.max(worker.threads, 1);
    meter.value = worker.in_flight;
    meter.title = `${worker.in_flight} calls, ${worker.queued} queued, ${worker.threads} threads`;
    load.append(meter, element("span", worker.in_flight + (worker.queued ? `+${worker.queued}` : ""), "load"));
    const cells = [worker.connections, worker.threads, figure(rate), worker.requests.toLocaleString("en"), worker.errors,
      shownTime(worker.mean_ms === null ? null : worker.mean_ms / 1000), mebibytes(worker.rss_bytes), duration(worker.age_seconds)];
    row.append(element("td", worker.slot), element("td", worker.pid), chip, load, ...cells.map((cell) => element("td", cell)),
      element("td", worker.tasks.queued + worker.tasks.running, "of-tasks"));
    return row;
  }));
}

function showFacts(status) {
  document.title = `${status.totals.busy}/${status.totals.total} busy · smarthttpd`;
  put("version", status.version);
  put("mpm", status.mpm);
  put("uptime", duration(status.uptime_seconds));
  put("pid", status.pid);
  put("listening", status.listening.map((place) => place.replace(/^http:\/\//, "")).join(", "));
  const phase = byId("phase");
  if (phase.textContent !== status.phase) phase.textContent = status.phase;
  phase.className = `chip ${status.phase === "serving" ? "good" : ""}`;
}

// ---- The loop.

let looks = [];
let lostAt = null;
let timer = null;
let token = sessionStorage.getItem("smarthttpd-admin-token");

function gap() {
  const last = view.samples[view.samples.length - 1];
  if (last && !last.gap) view.samples.push({ gap: true, at: last.at });
}

function take(status) {
  let before = looks[looks.length - 1];
  if (before && before.pid !== status.pid) {
    // Another server has taken its place: its clock and its counters begin anew.
    looks = [];
    view.samples = [];
    view.marks = [];
    before = undefined;
  }
  if (before && status.uptime_seconds > before.uptime_seconds) {
    // After a pause there is nothing to draw a line through, but a rate there is.
    if (status.uptime_seconds - before.uptime_seconds > 5) gap();
    view.samples.push(sample(before, status));
    view.samples.splice(0, Math.max(0, view.samples.length - KEPT));
  }
  looks.push(status);
  looks.splice(0, Math.max(0, looks.length - 11));
  view.marks = status.decisions.filter((decision) => decision.actions.length)
    .map((decision) => ({ at: decision.at_seconds, up: decision.actions[0].startsWith("spawn") }));
  showFacts(status);
  showTiles(status, looks.length > 1 ? looks[0] : undefined);
  showTasks(status.tasks);
  showDecisions(status.decisions);
  showWorkers(status, before);
  charts.forEach((one) => one.draw());
}

function found() {
  lostAt = null;
  byId("banner").hidden = true;
  byId("main").classList.remove("stale");
}

function lost(why) {
  lostAt = lostAt || new Date();
  gap();
  const since = lostAt.toLocaleTimeString("en-GB");
  put("banner", `The server has not answered since ${since} (${why}). What is below is how it was then; this page goes on asking.`);
  byId("banner").hidden = false;
  byId("main").classList.add("stale");
  put("phase", "gone");
  byId("phase").className = "chip bad";
  document.title = "gone · smarthttpd";
}

async function look() {
  timer = null;
  if (document.hidden) return;
  const began = performance.now();
  let again = true;
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch("/status", { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (response.status === 401) {
      again = false;
      askForToken();
    } else if (!response.ok) {
      lost(`it says ${response.status}`);
    } else {
      const status = await response.json();
      found();
      take(status);
    }
  } catch (error) {
    lost(error.name === "TimeoutError" ? "no answer in 3 s" : "no connection");
  }
  if (again) timer = setTimeout(look, Math.max(100, PERIOD_MS - (performance.now() - began)));
}

function askForToken() {
  token = null;
  sessionStorage.removeItem("smarthttpd-admin-token");
  put("phase", "locked");
  byId("login").hidden = false;
  byId("main").hidden = true;
  byId("token").focus();
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value;
  sessionStorage.setItem("smarthttpd-admin-token", token);
  byId("token").value = "";
  byId("login").hidden = true;
  byId("main").hidden = false;
  look();
});

// Nobody looks: nothing is asked for.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && timer === null && byId("login").hidden) look();
});

look();
