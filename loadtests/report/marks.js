/* What is drawn beside a chart's lines: stages and the heat map below them, limits and events above. */
const marker = (data, color) => {
"use strict";

const ROW = 14;  // height of a line of labels, in CSS pixels

function text(u, words, x, y, align, name) {
  const { ctx } = u, { left, width } = u.bbox, ratio = uPlot.pxRatio;
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  const wide = ctx.measureText(words).width;
  const from = align === "right" ? x - wide : x;
  const at = Math.max(left, Math.min(from, left + width - wide));
  ctx.setLineDash([]);
  ctx.lineJoin = "round";
  ctx.lineWidth = 3 * ratio;
  ctx.strokeStyle = color("--bg");
  ctx.strokeText(words, at, y);  // so that it can be read on top of a line
  ctx.fillStyle = color(name);
  ctx.fillText(words, at, y);
}

function line(u, x0, y0, x1, y1, name, dash) {
  const { ctx } = u;
  ctx.strokeStyle = color(name);
  ctx.lineWidth = 1.5 * uPlot.pxRatio;
  ctx.setLineDash(dash.map((length) => length * uPlot.pxRatio));
  ctx.beginPath();
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
  ctx.stroke();
}

function clipped(u, draw) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  draw(ctx, bbox, uPlot.pxRatio);
  ctx.restore();
}

function bands(u, box) {
  u.ctx.fillStyle = color("--band");
  for (const stage of data.stages.filter((one) => one.shaded)) {
    const from = u.valToPos(stage.from_s, "x", true);
    u.ctx.fillRect(from, box.top, u.valToPos(stage.to_s, "x", true) - from, box.height);
  }
}

function stageLabels(u, box, ratio) {
  for (const stage of data.stages) {
    const from = Math.max(u.valToPos(stage.from_s, "x", true), box.left), to = u.valToPos(stage.to_s, "x", true);
    const room = to - from - 7 * ratio * stage.label.length;
    if (room > 0) text(u, stage.label, from + 4 * ratio, box.top + ROW * ratio, "left", "--soft");
  }
}

function heat(u, ctx) {
  const { edges_ms: edges, counts } = data.heat;
  const most = Math.max(...counts.flatMap((column) => column || [0]));
  const at = (value, scale) => Math.round(u.valToPos(value, scale, true));
  ctx.fillStyle = color("--p95");
  counts.forEach((column, index) => (column || []).forEach((count, bin) => {
    if (!count) return;
    const left = at(data.t[index], "x"), top = at(edges[bin + 1], "y");
    ctx.globalAlpha = 0.12 + 0.88 * Math.log(1 + count) / Math.log(1 + most);
    ctx.fillRect(left, top, at(data.t[index] + data.step_s, "x") - left, at(edges[bin], "y") - top);
  }));
}

const isInside = (u, limit) => limit.value <= u.scales.y.max;

function limitLines(u, spec, box, ratio) {
  for (const limit of (spec.limits || []).filter((one) => isInside(u, one))) {
    const y = u.valToPos(limit.value, "y", true);
    const from = limit.from_s == null ? box.left : u.valToPos(limit.from_s, "x", true);
    const to = limit.to_s == null ? box.left + box.width : u.valToPos(limit.to_s, "x", true);
    line(u, from, y, to, y, "--fail", [6, 4]);
    if (spec.size !== "small") text(u, limit.text, to - 6 * ratio, y - 5 * ratio, "right", "--fail");
  }
}

/* On the axis of percentiles a limit holds at one place: the curve has to pass below it. */
function limitMarks(u, spec, box, ratio) {
  for (const limit of (spec.limits || []).filter((one) => isInside(u, one))) {
    const x = u.valToPos(1 / (1 - limit.q), "x", true), y = u.valToPos(limit.value, "y", true), half = 12 * ratio;
    line(u, x - half, y, x + half, y, "--fail", []);
    line(u, x, y, x, y - half / 2, "--fail", []);
    const turned = x > box.left + 0.75 * box.width, gap = half + 4 * ratio;
    text(u, limit.text, turned ? x - gap : x + gap, y + 4 * ratio, turned ? "right" : "left", "--fail");
  }
}

function eventLines(u, spec, box, ratio) {
  data.events.forEach((event, index) => {
    const x = u.valToPos(event.at_s, "x", true), y = box.top + ROW * (2 + index % 3) * ratio;
    line(u, x, box.top, x, box.top + box.height, "--invalid", [2, 2]);
    if (spec.size === "wide") text(u, event.label, x + 4 * ratio, y, "left", "--invalid");
  });
}

const below = (spec) => (u) => clipped(u, (ctx, box) => {
  if (spec.heat) heat(u, ctx);
  else if (!spec.x) bands(u, box);
});

const above = (spec) => (u) => clipped(u, (ctx, box, ratio) => {
  if (spec.x) return limitMarks(u, spec, box, ratio);
  limitLines(u, spec, box, ratio);
  eventLines(u, spec, box, ratio);
  if (spec.size === "wide") stageLabels(u, box, ratio);
});

return { below, above };
};
