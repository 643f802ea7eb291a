// Which of the line's open moves a shift makes first: its budgets in, the order of work out, and why the rest waits.

import { cellAddress } from "./address.js";
import { ask } from "./api.js";
import { stateOf } from "./cells.js";
import { h, icon, say } from "./dom.js";
import { amount, difference, number, unit } from "./format.js";
import { mayOperate } from "./run.js";
import { alarm, changed, silence, state } from "./store.js";
import { reasoned, t } from "./words.js";

/** Budget -> what one typed unit is in the service's: a line's voltage is spoken of in millivolts. */
const BUDGETS = { moves_a_day: 1, alf3_kg_d: 1, line_voltage_v: 0.001 };

async function rank() {
  const line = state.view.line;
  const typed = Object.entries(state.shift.budgets).filter(([, value]) => Number.isFinite(value));
  const body = { line_id: line, ...Object.fromEntries(typed.map(([name, value]) => [name, value * BUDGETS[name]])) };
  silence("shift");
  state.shift.busy = true;
  changed();
  try {
    const found = await ask("/v1/allocations", { method: "POST", body });
    if (line === state.view.line) state.shift.found = found;
    say(t("shift.ranked", { n: found.chosen.length, all: found.chosen.length + found.left_out.length }));
  } catch (error) {
    alarm(error, rank, "shift");
  }
  state.shift.busy = false;
  changed();
}

function field(name) {
  const keep = (event) => (state.shift.budgets[name] = event.target.valueAsNumber);
  const value = state.shift.budgets[name];
  return h(
    "label",
    {},
    t(`budget.${name}`),
    h("input", { type: "number", inputmode: "decimal", min: 0, step: name === "moves_a_day" ? 1 : "any", placeholder: t("shift.no_limit"), value: Number.isFinite(value) ? value : "", "data-key": `budget-${name}`, oninput: keep }),
  );
}

const inWords = (move) => `${t(`brief.${move.name}`)} ${difference(move.change, move.unit)}`;

function row(entry, place) {
  const cell = state.payload.cells.find((one) => one.cell_id === entry.cell_id);
  const now = cell ? stateOf(cell) : "none";
  return h(
    "tr",
    { class: place ? "" : "waits" },
    h("td", { class: "n" }, place ? number(place) : "–"),
    h("th", { scope: "row" }, cell ? h("a", { href: cellAddress(cell), "data-key": `shift-${entry.cell_id}` }, entry.cell_id) : entry.cell_id),
    h("td", {}, h("span", { class: `status is-${now}` }, icon(now), t(`state.${now}`))),
    h("td", {}, entry.moves.map(inWords).join(" · "), (entry.reasons ?? []).map((reason) => h("small", { class: "why" }, reasoned(reason)))),
    h("td", { class: "n" }, number(entry.gain.mean, 0)),
  );
}

function used(budget) {
  const said = budget.unit === "V" ? `${number(budget.used * 1000, 0)} / ${number(budget.limit * 1000, 0)} mV` : `${amount(budget.used, budget.unit)} / ${amount(budget.limit, budget.unit)} ${budget.name === "moves_a_day" ? "" : unit(budget.unit)}`;
  return h("span", { class: `chip ${budget.binding ? "attention" : ""}` }, budget.binding && icon("finding"), `${t(`budget.${budget.name}`)} ${said}`, budget.binding && h("small", {}, ` ${t("shift.binds")}`));
}

function answered(found) {
  const all = found.chosen.length + found.left_out.length;
  if (!all) return h("p", { class: "note" }, t("shift.nothing_open"));
  return [
    h("p", {}, t("shift.ranked", { n: found.chosen.length, all }), " ", h("b", {}, `${number(found.gain.mean, 0)} ${found.unit}`), h("small", {}, ` ± ${number(found.gain.deviation, 0)} ${t("shift.deviation")}`), found.gap > 0 && h("small", {}, ` · ${t("shift.gap", { share: number(found.gap * 100, 1) })}`)),
    found.budgets.length > 0 && h("p", { class: "chips" }, found.budgets.map(used)),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": t("shift.title"), "data-key": "shift-table" },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ["place", "cell", "state", "change", "gain"].map((name) => h("th", { scope: "col", class: ["place", "gain"].includes(name) ? "n" : "" }, t(`shift.${name}`), name === "gain" && h("small", {}, ` ${found.unit}`))))),
        h("tbody", {}, found.chosen.map((entry, i) => row(entry, i + 1)), found.left_out.map((entry) => row(entry, 0))),
      ),
    ),
  ];
}

/** The question and, once asked, its answer. */
export function shiftView() {
  const submit = (event) => {
    event.preventDefault();
    rank();
  };
  const allowed = mayOperate();
  return h(
    "section",
    { class: "shift", "aria-label": t("shift.title") },
    h("h3", {}, t("shift.title")),
    h("form", { onsubmit: submit }, Object.keys(BUDGETS).map(field), h("button", { type: "submit", "data-key": "shift-rank", disabled: !allowed || state.shift.busy, title: allowed ? null : t("run.not_allowed") }, t("shift.rank"))),
    state.shift.found && answered(state.shift.found),
  );
}
