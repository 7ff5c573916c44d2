/* Which charts a run's report has, and how they follow the page: its width, its colours, paper. Reads the JSON in #data. */
(() => {
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const place = document.getElementById("charts");
const root = document.documentElement;
const { add, fit, recolor } = chartist(data);
const { columns, limits, spectrum } = data;
const edges = data.heat.edges_ms;

function section(name, note, specs) {
  const shown = specs.filter((spec) => spec.series.some((one) => (one.y || []).some((v) => v != null)));
  if (!shown.length) return;
  const title = document.createElement("h2"), lead = document.createElement("p"), grid = document.createElement("div");
  [title.textContent, lead.textContent, lead.className, grid.className] = [name, note, "lead", "grid"];
  place.append(title, lead, grid);
  add(grid, shown);
}

const kinds = Object.entries(data.failures).map(([label, y], i) => ({ label, y, color: `--k${i}` }));
const lone = (label, y) => [{ label, y, color: "--p95" }];
const far = " A limit marked ↑ lies above its chart.";
const point = data.step_s > 1 ? `One point is ${data.step_s} s, its histograms merged. ` : "";

section("Rate and latency", `${point}Limits hold for the whole run, not for every second.`, [
  { size: "wide", title: "Rate", unit: "rate",
    note: `${data.planned ? "Turns of the plan" : "Turns that came due"}, and requests answered without failure, per second`,
    limits: limits.rate, series: [
      { label: "offered", y: columns.offered, color: "--offered", fill: true, width: 1 },
      { label: "answered", y: columns.achieved, color: "--achieved" }] },
  { size: "wide", title: "Latency", note: "Response time from when a request was due, service time from its send", unit: "ms",
    log: true, limits: limits.response_time, series: [
      { label: "response p50", y: columns.response_p50, color: "--p50" },
      { label: "p95", y: columns.response_p95, color: "--p95" },
      { label: "p99", y: columns.response_p99, color: "--p99" },
      { label: "service p99", y: columns.service_p99, color: "--service", dash: [5, 4] }] },
  { size: "half", title: "Latency by percentile", note: "Of all requests; the curve ends at the slowest", unit: "ms", log: true,
    x: spectrum.x, limits: limits.response_time, series: [
      { label: "response", y: spectrum.response, color: "--p99" },
      { label: "service", y: spectrum.service, color: "--service", dash: [5, 4] }] },
  { size: "half", title: "Response time, every request", note: "The stronger the colour, the more requests", unit: "ms",
    log: true, heat: [edges[0], edges.at(-1)], series: [{ label: "requests", unit: "count", color: "--p95",
      y: data.heat.counts.map((column) => column && column.reduce((sum, count) => sum + count, 0)) }] },
  { size: "wide", title: "Failures by kind", note: "Per second", unit: "rate", stacked: true, series: kinds },
]);
section("Users", `At the end of each second${point && ", the most in a point"}.`, [
  { size: "half", title: "Users at work, open connections", unit: "count", series: [
    { label: "users", y: columns.users, color: "--p95" },
    { label: "connections", y: columns.sockets, color: "--service", dash: [5, 4] }] },
  { size: "half", title: "Requests in flight", unit: "count", series: lone("in flight", columns.in_flight) },
]);
section("Server", `What the probes saw, once a second; a gap is a round without an answer.${far}`, data.probes.map((probe) => ({
  size: "small", title: probe.name, unit: probe.unit, xs: probe.t, limits: probe.limits, series: lone(probe.name, probe.v) })));
section("Generator", `Whether the load came as planned; above these limits the run is invalid.${far}`, [
  { size: "small", title: "Lateness p99", unit: "ms", limits: limits.lateness, series: lone("p99", columns.lateness_p99) },
  { size: "small", title: "Event loop's lag", unit: "ms", limits: limits.loop_lag, series: lone("lag", columns.loop_lag) },
  { size: "small", title: "CPU of the busiest worker", unit: "ratio", limits: limits.cpu, series: lone("cpu", columns.cpu) },
]);

const hint = document.createElement("span");
hint.className = "hint";
hint.textContent = " Drag to zoom, double-click to zoom out.";
place.querySelector(".lead")?.append(hint);

const print = (on) => () => {
  if (on) root.dataset.print = "";
  else delete root.dataset.print;
  fit();
};
let width = place.clientWidth;
new ResizeObserver(() => {
  if (place.clientWidth !== width && !("print" in root.dataset)) fit();
  width = place.clientWidth;
}).observe(place);
addEventListener("beforeprint", print(true));
addEventListener("afterprint", print(false));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolor);
})();
