// Levers: today's setting against the advised one, the way there day by day, and where inside its range.

import { h } from "./dom.js";
import { amount, dayAfter, difference, unit } from "./format.js";
import { s } from "./dom.js";
import { scale } from "./charts.js";
import { t } from "./words.js";

/** The table of levers with its staged path. */
export function leversView(advice) {
  const days = Math.max(0, ...advice.levers.map((lever) => lever.path.length));
  const dates = Array.from({ length: days }, (_, i) => dayAfter(advice.date, i));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("part.advice"), "data-key": "levers" },
    h(
      "table",
      { class: "levers" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, t("levers.lever")),
          h("th", { scope: "col", class: "n" }, t("levers.now")),
          dates.map((date) => h("th", { scope: "col", class: "n day" }, date.slice(5))),
          h("th", { scope: "col", class: "n" }, t("levers.target")),
          h("th", { scope: "col", class: "n" }, t("levers.change")),
          h("th", { scope: "col", class: "n" }, t("levers.step")),
          h("th", { scope: "col" }, t("levers.range")),
        ),
      ),
      h("tbody", {}, advice.levers.map((lever) => row(lever, days))),
    ),
  );
}

function row(lever, days) {
  const moves = lever.recommended !== lever.current;
  const path = Array.from({ length: days }, (_, i) => lever.path[i] ?? lever.recommended);
  return h(
    "tr",
    { class: moves ? "moves" : "stays" },
    h("th", { scope: "row" }, t(`lever.${lever.name}`), h("small", {}, ` ${unit(lever.unit)}`)),
    h("td", { class: "n" }, amount(lever.current, lever.unit)),
    path.map((value, i) => {
      const turned = value !== (i ? path[i - 1] : lever.current);
      return h("td", { class: `n day ${turned ? "turned" : ""}` }, turned ? amount(value, lever.unit) : "·");
    }),
    h("td", { class: "n target" }, amount(lever.recommended, lever.unit)),
    h("td", { class: "n change" }, moves ? difference(lever.recommended - lever.current, lever.unit) : "–"),
    h("td", { class: "n" }, `±${difference(lever.step, lever.unit).replace("+", "")}`),
    h("td", { class: "range" }, range(lever), h("span", { class: "unseen" }, `${amount(lever.lower, lever.unit)} … ${amount(lever.upper, lever.unit)}`)),
  );
}

function range(lever) {
  const width = 132;
  const x = scale(lever.lower, lever.upper, 6, width - 6);
  const inside = (value) => x(Math.min(lever.upper, Math.max(lever.lower, value)));
  const [now, then] = [inside(lever.current), inside(lever.recommended)];
  return s(
    "svg",
    { class: "window", width, height: 26, viewBox: `0 0 ${width} 26`, "aria-hidden": "true" },
    s("rect", { class: "inside", x: 6, y: 4, width: width - 12, height: 8 }),
    now !== then && s("line", { class: "way", x1: now, x2: then, y1: 8, y2: 8 }),
    s("circle", { class: "now", cx: now, cy: 8, r: 3.5 }),
    now !== then && s("circle", { class: "mean", cx: then, cy: 8, r: 3.5 }),
    s("text", { class: "tick", x: 6, y: 24, "text-anchor": "start" }, amount(lever.lower, lever.unit)),
    s("text", { class: "tick", x: width - 6, y: 24, "text-anchor": "end" }, amount(lever.upper, lever.unit)),
  );
}
