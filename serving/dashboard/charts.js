// Small charts: an estimate with its interval, an outcome in its window, lines over days, a response curve.

import { h, s } from "./dom.js";
import { number, ticks } from "./format.js";

const round = (value) => Math.round(value * 10) / 10;

/** A linear scale from data to pixels. */
export function scale(low, high, from, to) {
  const span = high - low || 1;
  return (value) => round(from + ((value - low) / span) * (to - from));
}

/** A mean with its bounds on an axis from zero to `widest`; bounds beyond zero are shown as such. */
export function intervalBar(estimate, widest, width = 84) {
  const low = Math.min(0, estimate.lower, -widest * 0.04);
  const x = scale(low, Math.max(widest, estimate.upper), 2, width - 4);
  return s(
    "svg",
    { class: "interval", width, height: 14, viewBox: `0 0 ${width} 14`, "aria-hidden": "true" },
    s("rect", { class: "length", x: Math.min(x(0), x(estimate.mean)), y: 3, width: Math.abs(x(estimate.mean) - x(0)), height: 8 }),
    s("line", { class: "zero", x1: x(0), x2: x(0), y1: 1, y2: 13 }),
    s("line", { class: "whisker", x1: x(estimate.lower), x2: x(estimate.upper), y1: 7, y2: 7 }),
    s("circle", { class: "mean", cx: x(estimate.mean), cy: 7, r: 3 }),
  );
}

/** Now (hollow) and then (solid, with its interval) inside the window of an outcome; edges may be missing. */
export function windowBar(outcome, window, width) {
  const values = [outcome.current, outcome.lower, outcome.upper, window?.low, window?.high].filter(Number.isFinite);
  const pad = (Math.max(...values) - Math.min(...values)) * 0.08 || 1e-6;
  const [low, high] = [Math.min(...values) - pad, Math.max(...values) + pad];
  const x = scale(low, high, 4, width - 4);
  const edge = (value) => Number.isFinite(value) && s("line", { class: "edge", x1: x(value), x2: x(value), y1: 1, y2: 19 });
  return s(
    "svg",
    { class: "window", width, height: 20, viewBox: `0 0 ${width} 20`, "aria-hidden": "true" },
    window && s("rect", { class: "inside", x: x(window.low ?? low), y: 2, width: x(window.high ?? high) - x(window.low ?? low), height: 16 }),
    window && [edge(window.low), edge(window.high)],
    s("line", { class: "whisker", x1: x(outcome.lower), x2: x(outcome.upper), y1: 10, y2: 10 }),
    s("circle", { class: "now", cx: x(outcome.current), cy: 10, r: 3.5 }),
    outcome.recommended !== outcome.current && s("circle", { class: "mean", cx: x(outcome.recommended), cy: 10, r: 3.5 }),
  );
}

/** A bar from zero to either side; what saves is coloured. */
export function effectBar(value, widest, saves, bounds = null, width = 120) {
  const x = scale(-widest, widest, 2, width - 2);
  const [from, to] = value < 0 ? [x(value), x(0)] : [x(0), x(value)];
  return s(
    "svg",
    { class: "effect", width, height: 14, viewBox: `0 0 ${width} 14`, "aria-hidden": "true" },
    s("rect", { class: saves ? "saves" : "costs", x: from, y: 3, width: Math.max(1, to - from), height: 8 }),
    Number.isFinite(bounds?.lower) && s("line", { class: "whisker", x1: x(bounds.lower), x2: x(bounds.upper), y1: 7, y2: 7 }),
    s("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: 14 }),
  );
}

/** Unbroken runs of known values: [[index, value], …] each. */
export function runs(values) {
  const found = [];
  let open = null;
  values.forEach((value, i) => {
    if (value === null || value === undefined) open = null;
    else {
      if (!open) found.push((open = []));
      open.push([i, value]);
    }
  });
  return found;
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("");

function stairs(run, x, y) {
  const parts = [];
  run.forEach(([i, value], k) => {
    if (k) parts.push([x(i), y(run[k - 1][1])]);
    parts.push([x(i), y(value)]);
  });
  return path(parts);
}

/** The frame of a chart: horizontal grid with its numbers. */
export function frame({ width, height, left, right, top, bottom }, y, axis) {
  return axis.values.map((value) => [
    s("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
    s("text", { class: "tick", x: left - 4, y: y(value) + 3.5, "text-anchor": "end" }, number(value, axis.places)),
  ]);
}

const BOX = { left: 46, right: 10, top: 6, bottom: 16 };

/**
 * Days of one signal, set as a staircase and measured as a line with its gaps; `aim` is where the advice would take it.
 * `look(i)` is told which day the pointer or the keys are on; the returned element's `show(i)` marks a day.
 */
export function trend({ dates, set, measured, aim, label, look }, width, height = 92) {
  const box = { ...BOX, width, height };
  const values = [...(set ?? []), ...(measured ?? []), aim].filter((value) => Number.isFinite(value));
  const pad = values.length ? (Math.max(...values) - Math.min(...values)) * 0.06 : 0;
  const [low, high] = values.length ? [Math.min(...values) - pad, Math.max(...values) + pad] : [0, 1];
  const axis = ticks(low, high, 4);
  const bottom = Math.min(low, ...axis.values);
  const upper = Math.max(high, ...axis.values);
  const x = scale(0, Math.max(1, dates.length - 1), box.left, width - box.right);
  const y = scale(bottom, upper, height - box.bottom, box.top);
  const cursor = s("line", { class: "cursor", x1: -9, x2: -9, y1: box.top, y2: height - box.bottom });
  const marks = Array.from({ length: Math.max(1, Math.floor((width - 60) / 90)) + 1 }, (_, k, n = Math.max(1, Math.floor((width - 60) / 90))) => Math.round((k * (dates.length - 1)) / n));
  const svg = s(
    "svg",
    { class: "trend", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": label },
    frame(box, y, axis),
    marks.map((i, k) => dates[i] && s("text", { class: "tick", x: x(i), y: height - 3, "text-anchor": k ? (k === marks.length - 1 ? "end" : "middle") : "start" }, dates[i].slice(5))),
    runs(measured ?? []).map((run) => (run.length > 1 ? s("path", { class: "measured", d: path(run.map(([i, value]) => [x(i), y(value)])) }) : s("circle", { class: "single", cx: x(run[0][0]), cy: y(run[0][1]), r: 2 }))),
    runs(set ?? []).map((run) => s("path", { class: "set", d: stairs(run, x, y) })),
    Number.isFinite(aim) && s("path", { class: "aim", d: `M${width - box.right} ${y(aim)}l7 -4v8z` }),
    cursor,
  );
  let at = dates.length - 1;
  const move = (to) => {
    at = Math.max(0, Math.min(dates.length - 1, to));
    look(at);
  };
  svg.show = (i) => {
    const here = i === null ? -9 : x(i);
    cursor.setAttribute("x1", here);
    cursor.setAttribute("x2", here);
  };
  svg.addEventListener("pointermove", (event) => move(Math.round(((event.offsetX - box.left) / (width - box.left - box.right)) * (dates.length - 1))));
  svg.addEventListener("pointerleave", () => look(null));
  svg.addEventListener("focus", () => move(at));
  svg.addEventListener("blur", () => look(null));
  svg.addEventListener("keydown", (event) => {
    const goal = { ArrowLeft: at - 1, ArrowRight: at + 1, PageUp: at - 7, PageDown: at + 7, Home: 0, End: dates.length - 1 }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    move(goal);
  });
  return svg;
}

/** The stretches of a lever's settings that break a limit: [from, to] each, half a step beyond the settings. */
export function blocked(values, limits) {
  const broken = new Set(limits.map((limit) => limit.value));
  const half = (values[1] - values[0]) / 2;
  const found = [];
  values.forEach((value, i) => {
    if (!broken.has(value)) return;
    const [from, to] = [Math.max(values[0], value - half), Math.min(values.at(-1), value + half)];
    if (i && broken.has(values[i - 1])) found.at(-1)[1] = to;
    else found.push([from, to]);
  });
  return found;
}

/** A response curve: mean with its interval over one lever, today's setting and the advised one marked. */
export function curve({ values, mean, lower, upper, current, recommended, limits, label, places }, width, height = 120) {
  const box = { ...BOX, bottom: 28, width, height };
  const axis = ticks(Math.min(...lower), Math.max(...upper), 3);
  const across = ticks(values[0], values.at(-1), Math.max(2, Math.floor(width / 90)));
  const x = scale(values[0], values.at(-1), box.left, width - box.right);
  const y = scale(Math.min(...lower, ...axis.values), Math.max(...upper, ...axis.values), height - box.bottom, box.top);
  const line = values.map((value, i) => [x(value), y(mean[i])]);
  const band = [...values.map((value, i) => [x(value), y(upper[i])]), ...values.map((value, i) => [x(value), y(lower[i])]).reverse()];
  const bar = (value, css) => Number.isFinite(value) && s("line", { class: css, x1: x(value), x2: x(value), y1: box.top, y2: height - box.bottom });
  const nearest = (value) => values.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(values[best] - value) ? i : best), 0);
  const dot = (value, css) => Number.isFinite(value) && s("circle", { class: css, cx: x(value), cy: y(mean[nearest(value)]), r: 4 });
  return s(
    "svg",
    { class: "curve", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    frame(box, y, axis),
    across.values.map((value) => s("text", { class: "tick", x: x(value), y: height - box.bottom + 12, "text-anchor": "middle" }, number(value, Math.max(across.places, places ?? 0)))),
    s("path", { class: "band", d: `${path(band)}Z` }),
    blocked(values, limits ?? []).map(([from, to]) => s("rect", { class: "limit", x: x(from), y: box.top, width: Math.max(1, x(to) - x(from)), height: height - box.bottom - box.top })),
    bar(current, "now-line"),
    recommended !== current && bar(recommended, "then-line"),
    s("path", { class: "mean-line", d: path(line) }),
    dot(current, "now"),
    recommended !== current && dot(recommended, "mean"),
  );
}

/** Promised beside realised, week by week, each with its interval. */
export function pairs({ names, first, second, label, look }, width, height = 190) {
  const box = { left: 52, right: 8, top: 8, bottom: 20, width, height };
  const known = [...first, ...second].filter(Boolean).flatMap((one) => [one.lower, one.upper, one.mean]).filter(Number.isFinite);
  const axis = ticks(Math.min(0, ...known), Math.max(0, ...known), 5);
  const y = scale(Math.min(0, ...known, ...axis.values), Math.max(0, ...known, ...axis.values), height - box.bottom, box.top);
  const band = (width - box.left - box.right) / Math.max(1, names.length);
  const offset = Math.min(9, band / 4);
  const middle = (i) => round(box.left + band * (i + 0.5));
  const every = Math.ceil(58 / band);
  const mark = (one, at, css) =>
    one && [
      Number.isFinite(one.lower) && s("line", { class: `whisker ${css}`, x1: at, x2: at, y1: y(one.lower), y2: y(one.upper) }),
      css === "promised" ? s("rect", { class: css, x: at - 3.5, y: y(one.mean) - 3.5, width: 7, height: 7 }) : s("circle", { class: css, cx: at, cy: y(one.mean), r: 4 }),
    ];
  const svg = s(
    "svg",
    { class: "pairs", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": label },
    frame(box, y, axis),
    s("line", { class: "zero", x1: box.left, x2: width - box.right, y1: y(0), y2: y(0) }),
    names.map((name, i) => [
      i % every === 0 && s("text", { class: "tick", x: middle(i), y: height - 5, "text-anchor": "middle" }, name),
      mark(first[i], middle(i) - offset, "promised"),
      mark(second[i], middle(i) + offset, "realised"),
    ]),
  );
  let at = names.length - 1;
  const move = (to) => look((at = Math.max(0, Math.min(names.length - 1, to))));
  svg.addEventListener("pointermove", (event) => move(Math.floor((event.offsetX - box.left) / band)));
  svg.addEventListener("focus", () => move(at));
  svg.addEventListener("keydown", (event) => {
    const goal = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: names.length - 1 }[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    move(goal);
  });
  return svg;
}

/** What the marks of a chart mean. */
export const chartKey = (entries) =>
  h("span", { class: "chart-key" }, entries.map(([css, text]) => h("span", {}, s("svg", { width: 18, height: 10, viewBox: "0 0 18 10", "aria-hidden": "true" }, sample(css)), text)));

function sample(css) {
  if (css === "now" || css === "mean" || css === "realised") return s("circle", { class: css, cx: 9, cy: 5, r: 3.5 });
  if (css === "promised") return s("rect", { class: css, x: 5.5, y: 1.5, width: 7, height: 7 });
  if (css === "inside" || css === "band" || css === "limit") return s("rect", { class: css, x: 1, y: 1, width: 16, height: 8 });
  if (css === "aim") return s("path", { class: css, d: "M6 5l7 -4v8z" });
    return s("path", { class: css, d: "M0 5h18" });
}
