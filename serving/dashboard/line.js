// The line: its figures, its filters, the run of advice, and the panes of map, table and card.

import { cardView } from "./card.js";
import { counts, moneyUnit, savingOf, stateOf } from "./cells.js";
import { h, put } from "./dom.js";
import { number } from "./format.js";
import { loadHealth } from "./health.js";
import { mapView } from "./map.js";
import { runView } from "./run.js";
import { changed, state } from "./store.js";
import { tableView } from "./table.js";
import { t } from "./words.js";

const FILTERS = ["all", "open", "decided", "hold", "abstain", "expired", "off", "none"];
const CHOICES = ["cost", "energy", "state", "health"];

let panes = null;

/** Draw the line into `main`, pane by pane, so that one pane's change leaves the others alone. */
export function lineView(main) {
  if (!panes || panes.root.parentNode !== main) {
    panes = Object.fromEntries(["strip", "map", "table", "card"].map((name) => [name, h("section", { class: `${name}-pane`, "aria-label": t(`pane.${name}`) })]));
    panes.root = h("div", { class: "line" }, panes.strip, h("div", { class: "panes" }, panes.map, panes.table, panes.card));
    put(main, panes.root);
  }
  const open = Boolean(state.view.cell);
  panes.root.classList.toggle("with-card", open);
  panes.card.hidden = !open;
  for (const name of ["strip", "map", "table", "card"]) panes[name].setAttribute("aria-label", t(`pane.${name}`));
  put(panes.strip, strip());
  put(panes.map, mapHead(), mapView());
  put(panes.table, tableView());
  cardView(panes.card);
}

function figure(name, value, unit, note) {
  return h("div", { class: "figure" }, h("span", {}, name), h("b", {}, value, unit && h("small", {}, ` ${unit}`)), note && h("small", {}, note));
}

function total(cells, measure) {
  const taken = cells.filter((cell) => ["move", "accept", "modify"].includes(stateOf(cell)));
  const found = taken.map((cell) => savingOf(cell, measure)).filter(Boolean);
  if (!found.length || !cells.length) return null;
  return found.reduce((sum, one) => sum + one.mean, 0) / cells.length;
}

function strip() {
  const cells = state.payload.cells;
  const found = counts(cells);
  const decided = cells.filter((cell) => cell.decision).length;
  const [cost, energy] = [total(cells, "cost"), total(cells, "energy")];
  return [
    figure(t("strip.cells"), number(cells.length)),
    figure(t("strip.open"), number(found.move), "", t("strip.decided", { n: decided })),
    figure(t("strip.cost"), number(cost, 1), cost === null ? "" : moneyUnit(), cost === null ? "" : t("strip.if_all")),
    figure(t("strip.energy"), number(energy, 0), energy === null ? "" : "kWh/t", energy === null ? "" : t("strip.if_all")),
    runView(),
  ];
}

function radio(group, value, chosen, text, pick, extra = null) {
  return h(
    "label",
    { class: `choice ${value === chosen ? "chosen" : ""}` },
    h("input", { type: "radio", name: group, value, checked: value === chosen, "data-key": `${group}-${value}`, onchange: () => pick(value) }),
    text,
    extra,
  );
}

function mapHead() {
  const found = counts(state.payload.cells);
  const number_of = { ...found, all: state.payload.cells.length, open: found.move, decided: found.accept + found.modify + found.reject };
  const measure = (value) => {
    state.measure = value;
    if (value === "health" && !state.quality) loadHealth();
    changed();
  };
  const status = (value) => {
    state.filter.status = value;
    changed();
  };
  const typed = (event) => {
    state.filter.text = event.target.value;
    changed();
  };
  const shown = FILTERS.filter((name) => ["all", "open", "decided"].includes(name) || number_of[name] || state.filter.status === name);
  return h(
    "div",
    { class: "controls" },
    h("div", { class: "choices", role: "radiogroup", "aria-label": t("map.colour_by") }, CHOICES.map((name) => radio("measure", name, state.measure, t(`measure.${name}`, { currency: state.payload.currency ?? "" }), measure))),
    h("input", { type: "search", class: "search", "data-key": "filter-text", placeholder: t("filter.cell"), "aria-label": t("filter.cell"), value: state.filter.text, oninput: typed }),
    h("div", { class: "choices", role: "radiogroup", "aria-label": t("filter.label") }, shown.map((name) => radio("status", name, state.filter.status, t(`filter.${name}`), status, h("small", {}, ` ${number_of[name] ?? 0}`)))),
  );
}
