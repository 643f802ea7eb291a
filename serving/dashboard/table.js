// The same cells as a table, sorted as asked; the largest opportunity first.

import { cellAddress } from "./address.js";
import { changes, filtered, measureUnit, measureDigits, measured, moved, savingOf, short, shownMeasured, stateOf, STATES } from "./cells.js";
import { h, icon } from "./dom.js";
import { countdown, number } from "./format.js";
import { intervalBar } from "./charts.js";
import { byName, changed, lineNow, state } from "./store.js";
import { reasonWord, t } from "./words.js";

const least = (value) => (value === null || value === undefined ? -Infinity : value);
const worth = () => (state.measure === "energy" ? "energy" : "cost");

const COLUMNS = {
  cell: { order: (cell) => cell.cell_id, text: true },
  state: { order: (cell) => -STATES.indexOf(stateOf(cell)) },
  saving: { order: (cell) => least(savingOf(cell, worth())?.mean), number: true },
  change: { order: (cell) => moved(cell.advice).length, wide: true },
  voltage: { order: (cell) => least(measured(cell, "cell_voltage_v")), number: true, extra: true },
  temperature: { order: (cell) => least(measured(cell, "bath_temperature_c")), number: true, extra: true },
  noise: { order: (cell) => least(measured(cell, "noise_mv")), number: true, extra: true },
  expiry: { order: (cell) => (cell.advice ? -Date.parse(cell.advice.expires_at) : -Infinity), number: true },
};

function sorted(cells) {
  const { by, down } = state.sort;
  const { order, text } = COLUMNS[by];
  const sign = down ? -1 : 1;
  return [...cells].sort((a, b) => sign * (text ? byName(order(a), order(b)) : order(a) - order(b) || 0) || byName(a.cell_id, b.cell_id));
}

function head(name) {
  const { by, down } = state.sort;
  const mine = by === name;
  const turn = () => {
    state.sort = { by: name, down: mine ? !down : !COLUMNS[name].text };
    changed();
  };
  const unit = name === "saving" ? measureUnit(worth()) : t(`table.${name}_unit`);
  return h(
    "th",
    { scope: "col", class: `${COLUMNS[name].number ? "n" : ""} ${COLUMNS[name].extra ? "extra" : ""}`, "aria-sort": mine ? (down ? "descending" : "ascending") : "none" },
    h("button", { type: "button", "data-key": `sort-${name}`, onclick: turn }, t(`table.${name}`), h("span", { class: "arrow", "aria-hidden": "true" }, mine ? (down ? "↓" : "↑") : "")),
    unit && h("small", {}, unit),
  );
}

function row(cell, widest) {
  const now = stateOf(cell);
  const saving = savingOf(cell, worth());
  const target = cellAddress(cell);
  const reason = !saving && cell.advice?.reasons?.[0];
  return h(
    "tr",
    { class: cell.cell_id === state.view.cell ? "chosen" : "", onclick: (event) => event.target.closest("a") || (location.hash = target) },
    h("th", { scope: "row" }, h("a", { href: target, "data-key": `row-${cell.cell_id}` }, short(cell))),
    h("td", {}, h("span", { class: `status is-${now}` }, icon(now), t(`state.${now}`))),
    h("td", { class: "n saving" }, saving ? [intervalBar(saving, widest, 70), h("span", {}, number(saving.mean, measureDigits(worth())))] : "–"),
    h("td", { class: "change" }, reason ? h("small", {}, reasonWord(reason)) : changes(cell.advice)),
    h("td", { class: "n extra" }, shownMeasured(cell, "cell_voltage_v")),
    h("td", { class: "n extra" }, shownMeasured(cell, "bath_temperature_c")),
    h("td", { class: "n extra" }, shownMeasured(cell, "noise_mv")),
    h("td", { class: "n", "data-until": now === "move" ? cell.advice.expires_at : null }, now === "move" ? countdown(cell.advice.expires_at, lineNow()) : now === "expired" ? t("time.over") : "–"),
  );
}

/** The table of the cells that the filter lets through. */
export function tableView() {
  const cells = sorted(filtered(state.payload.cells));
  const widest = Math.max(1e-9, ...cells.map((cell) => savingOf(cell, worth())?.upper ?? 0));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("pane.table"), "data-key": "table" },
    h(
      "table",
      { class: "cells" },
      h("caption", { class: "unseen" }, t("table.caption")),
      h("thead", {}, h("tr", {}, Object.keys(COLUMNS).map(head))),
      h("tbody", {}, cells.map((cell) => row(cell, widest))),
    ),
    !cells.length && h("p", { class: "waiting" }, t("table.empty")),
  );
}
