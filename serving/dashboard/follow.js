// Earlier advice of a cell, and of each what was decided, set and measured afterwards.

import { ask } from "./api.js";
import { h, icon } from "./dom.js";
import { amount, difference, unit } from "./format.js";
import { alarm, changed, silence, state } from "./store.js";
import { named, t } from "./words.js";

/** The table of earlier advice; a row opens to what followed. */
export function earlierView(details) {
  if (!details) return h("p", { class: "waiting" }, t("waiting.trends"));
  const rows = details.recommendations ?? [];
  if (!rows.length) return h("p", {}, t("earlier.none"));
  return h(
    "table",
    { class: "earlier" },
    h("thead", {}, h("tr", {}, ["date", "advice", "decision", "by", "reason", "followed"].map((name) => h("th", { scope: "col", class: name === "date" ? "n" : "" }, t(`earlier.${name}`))))),
    h("tbody", {}, rows.map((row) => [summary(row), state.followed[row.recommendation_id] && h("tr", {}, h("td", { colspan: 6 }, followed(state.followed[row.recommendation_id])))])),
  );
}

function summary({ recommendation_id: id, date, status, decision }) {
  const open = Boolean(state.followed[id]);
  return h(
    "tr",
    {},
    h("td", { class: "n" }, date),
    h("td", {}, t(`state.${status}`)),
    h("td", {}, decision ? [icon(decision.action), t(`state.${decision.action}`)] : "–"),
    h("td", {}, decision?.subject ?? "–"),
    h("td", {}, decision?.reason || "–"),
    h("td", {}, status === "move" && h("button", { type: "button", class: "small", "data-key": `followed-${id}`, "aria-expanded": String(open), onclick: () => turn(id) }, t(open ? "earlier.hide" : "earlier.show"))),
  );
}

async function turn(id) {
  silence("followed");
  if (state.followed[id]) {
    const { [id]: gone, ...rest } = state.followed;
    state.followed = rest;
  } else {
    try {
      state.followed = { ...state.followed, [id]: await ask(`/v1/recommendations/${encodeURIComponent(id)}`) };
    } catch (error) {
      alarm(error, () => turn(id), "followed");
    }
  }
  changed();
}

function followed({ recommendation: advice, applied, measured }) {
  const set = applied?.levers;
  const found = measured?.outcomes;
  if (!set && !found) return h("p", { class: "note" }, t("followed.nothing"));
  return h(
    "div",
    { class: "two" },
    set && h("table", {}, h("caption", {}, t("followed.set")), heads(["setpoint", "before", "advised", "in_force"]), h("tbody", {}, advice.levers.filter((lever) => lever.name in set).map((lever) => setRow(lever, set[lever.name])))),
    found && h("table", {}, h("caption", {}, t("followed.measured", { first: measured.first, last: measured.last })), heads(["outcome", "expected", "interval", "found"]), h("tbody", {}, Object.entries(advice.expected).filter(([name]) => name in found).map(([name, expected]) => outcomeRow(name, expected, found[name])))),
  );
}

const heads = (names) => h("thead", {}, h("tr", {}, names.map((name, i) => h("th", { scope: "col", class: i ? "n" : "" }, t(`followed.${name}`)))));

const setRow = (lever, value) =>
  h("tr", {}, h("th", { scope: "row" }, t(`lever.${lever.name}`), h("small", {}, ` ${unit(lever.unit)}`)), h("td", { class: "n" }, amount(lever.current, lever.unit)), h("td", { class: "n" }, amount(lever.recommended, lever.unit)), h("td", { class: "n" }, h("b", {}, amount(value, lever.unit)), Math.abs(value - lever.recommended) > 1e-9 && h("small", {}, ` ${difference(value - lever.recommended, lever.unit)}`)));

function outcomeRow(name, expected, value) {
  const inside = value >= expected.lower && value <= expected.upper;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, named(name), h("small", {}, ` ${unit(expected.unit)}`)),
    h("td", { class: "n" }, amount(expected.recommended, expected.unit)),
    h("td", { class: "n" }, `${amount(expected.lower, expected.unit)} … ${amount(expected.upper, expected.unit)}`),
    h("td", { class: "n" }, h("b", {}, amount(value, expected.unit)), h("small", { class: inside ? "" : "attention" }, " ", !inside && icon("finding"), t(inside ? "followed.inside" : "followed.outside"))),
  );
}
