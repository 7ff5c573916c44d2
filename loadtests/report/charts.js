/* How a chart of a run's report is drawn, with uPlot. Which ones there are is said in page.js. */
const chartist = (data) => {
"use strict";

const root = document.documentElement;
const middles = data.t.map((t) => t + data.step_s / 2);
const charts = [];
const drawn = new Set();
const style = getComputedStyle(root);
const color = (name) => style.getPropertyValue(name).trim();
const { below, above } = marker(data, color);

// Values as people read them.

const significant = (v) => (Math.abs(v) >= 100 ? Math.round(v).toLocaleString("en-US") : String(+v.toPrecision(3)));
const scaled = (steps) => (v) => {
  const [unit, factor] = steps.find(([, least]) => Math.abs(v) >= least) || steps.at(-1);
  return v === 0 ? "0" : `${significant(v / factor)} ${unit}`;
};
/* Those of metrics, in their base units, and ms. */
const units = {
  ms: scaled([["s", 1e3], ["ms", 1], ["us", 1e-3]]),
  duration: scaled([["s", 1], ["ms", 1e-3], ["us", 1e-6]]),
  size: scaled([["GB", 1e9], ["MB", 1e6], ["kB", 1e3], ["B", 1]]),
  ratio: (v) => `${significant(v * 100)} %`,
  rate: (v) => `${significant(v)}/s`,
  count: significant,
};
const two = (v) => String(Math.floor(v)).padStart(2, "0");
const clock = (s) => {
  if (data.until_s <= 300) return `${+s.toFixed(1)} s`;
  return (s >= 3600 ? `${Math.floor(s / 3600)}:${two((s % 3600) / 60)}` : Math.floor(s / 60)) + `:${two(s % 60)}`;
};
const percent = (x) => `${+(100 - 100 / x).toPrecision(8)} %`;

// Scales. A logarithmic one has ticks at 1, 2 and 5, or at powers of ten when those are many.

function ticks(low, high, steps) {
  const found = [];
  for (let power = 10 ** Math.floor(Math.log10(low) + 1e-9); power <= high; power *= 10) {
    found.push(...steps.map((step) => +(step * power).toPrecision(3)));
  }
  return found.filter((v) => v >= low * 0.999 && v <= high * 1.001);
}

const logTicks = (low, high) => ticks(low, high, high / low > 5e3 ? [1] : [1, 2, 5]);

function percentTicks(u, high) {
  const decade = u.bbox.width / uPlot.pxRatio / Math.log10(high);
  const powers = ticks(10, high, [1]);
  return decade < 55 ? powers.filter((_, i) => i % 2 === 0) : [2, ...powers];
}

/* In a small chart a limit far above everything would press the line flat: it is left out, and the caption says so. */
const isNear = (spec, high) => (limit) => spec.size !== "small" || limit.value <= 5 * high;

function yRange(spec) {
  return (u, low, high) => {
    if (low == null) [low, high] = [spec.log ? 1 : 0, 1];
    const values = (spec.limits || []).filter(isNear(spec, high)).map((limit) => limit.value);
    high = Math.max(high, ...values);
    if (!spec.log) return [0, high > 0 ? high * 1.18 : 1];
    return [Math.max(Math.min(low, ...values), 0.001) / 1.3, high * 3];
  };
}

function xScale(spec, xs) {
  const whole = spec.x ? [1, Math.max(xs.at(-1), 10) * 1.1] : [0, data.until_s];
  const range = (u, low, high) => (low <= xs[0] && high >= xs.at(-1) ? whole : [low, high]);
  return { time: false, distr: spec.x ? 3 : 1, range };
}

function axes(spec) {
  const common = {
    stroke: () => color("--soft"),
    font: "12px system-ui, sans-serif",
    grid: { stroke: () => color("--line"), width: 1, show: !spec.heat },
    ticks: { show: false },
    filter: (u, found) => found,
  };
  const x = { ...common, size: 30, space: 70, values: (u, found) => found.map(spec.x ? percent : clock) };
  if (spec.x) x.splits = (u, i, low, high) => percentTicks(u, high);
  else if (data.until_s > 300) x.incrs = [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
  const y = { ...common, size: 64, space: spec.size === "small" ? 30 : 40, values: (u, found) => found.map(units[spec.unit]) };
  if (spec.log) y.splits = (u, i, low, high) => logTicks(low, high);
  return [x, y];
}

// Series and their legend.

/* A value between two gaps would be no line at all: it gets a point. */
const alone = (u, index) => {
  const values = u.data[index], found = [];
  values.forEach((v, i) => v != null && values[i - 1] == null && values[i + 1] == null && found.push(i));
  return found.length ? found : null;
};

function lines(spec) {
  const bars = uPlot.paths.bars({ size: [1, Infinity], gap: 0 });
  return spec.series.map((one) => ({
    label: one.label,
    stroke: () => color(one.color),
    fill: spec.stacked ? () => color(one.color) : one.fill ? () => color(one.color) + "33" : undefined,
    width: spec.stacked || spec.heat ? 0 : one.width || (data.t.length > 200 ? 1.25 : 2),
    dash: one.dash,
    paths: spec.stacked ? bars : undefined,
    points: { show: false, filter: spec.stacked ? () => null : alone, size: 5, fill: () => color(one.color) },
    value: (u, v, i, at) => (at == null ? "" : one.y[at] == null ? "no data" : units[one.unit || spec.unit](one.y[at])),
  }));
}

function abscissa(spec) {
  if (spec.x) return { label: " ", value: (u, x) => (x == null ? "" : percent(x)) };
  const interval = (x) => `${clock(x - data.step_s / 2)} – ${clock(x + data.step_s / 2)}`;
  return { label: " ", value: (u, x) => (x == null ? "" : spec.xs ? clock(x) : interval(x)) };
}

const stack = (spec) => spec.series.map((one, i) => one.y.map((v, at) => (
  v == null ? null : spec.series.slice(i).reduce((sum, other) => sum + other.y[at], 0))));

function caption(spec) {
  const made = document.createElement("figcaption"), title = document.createElement("h3");
  title.textContent = spec.title;
  made.append(title, spec.note || "");
  for (const limit of spec.size === "small" ? spec.limits : []) {
    const words = document.createElement("span");
    words.className = limit.status;
    words.textContent = limit.observed;
    const high = Math.max(...spec.series[0].y);
    made.append(words, ` · asked ${limit.asked}${isNear(spec, high)(limit) ? "" : " ↑"} `);
  }
  return made;
}

// The chart.

function options(spec, xs, figure) {
  const dashed = (i) => spec.series[i - 1].dash;
  const note = () => {
    drawn.add(figure);
    document.body.dataset.charts = drawn.size;
  };
  return {
    ...extent(figure, spec),
    padding: [10, 26, 0, 0],
    scales: { x: xScale(spec, xs), y: { distr: spec.log ? 3 : 1, range: spec.heat ? () => spec.heat : yRange(spec) } },
    axes: axes(spec),
    series: [abscissa(spec), ...lines(spec)],
    legend: { markers: { width: 3, fill: () => "transparent", dash: (u, i) => (dashed(i) ? "dashed" : "solid"),
      stroke: (u, i) => `var(${spec.series[i - 1].color})` } },
    cursor: { y: false, points: { show: !spec.stacked && !spec.heat, size: 7 }, drag: { x: true, y: false },
      sync: spec.x ? undefined : { key: "time", scales: ["x", null] } },
    hooks: { drawClear: [below(spec)], draw: [above(spec), note] },
  };
}

function extent(figure, spec) {
  const small = spec.size === "small";
  if (!("print" in root.dataset)) return { width: figure.clientWidth, height: small ? 140 : 240 };
  return { width: { wide: 700, half: 338, small: 220 }[spec.size], height: small ? 120 : 200 };
}

/* All frames before the first plot: how wide one is depends on how many there are. */
function add(grid, specs) {
  const figures = specs.map((spec) => frame(spec));
  grid.append(...figures);
  specs.forEach((spec, i) => plot(figures[i], spec));
}

function frame(spec) {
  const figure = document.createElement("figure");
  figure.className = spec.size;
  figure.append(caption(spec));
  return figure;
}

function plot(figure, spec) {
  const xs = spec.x || spec.xs || middles;
  const ys = spec.stacked ? stack(spec) : spec.series.map((one) => one.y);
  charts.push({ plot: new uPlot(options(spec, xs, figure), [xs, ...ys], figure), figure, spec });
}

const fit = () => charts.forEach(({ plot, figure, spec }) => plot.setSize(extent(figure, spec)));
const recolor = () => charts.forEach(({ plot }) => plot.redraw(false));
return { add, fit, recolor };
};
