// What was promised and what was measured afterwards: the line, its weeks, its cells.

import { ask, query } from "./api.js";
import { chartKey, intervalBar, pairs } from "./charts.js";
import { fitted, h } from "./dom.js";
import { number } from "./format.js";
import { alarm, byName, changed, silence, state } from "./store.js";
import { told, t } from "./words.js";
import { moneyUnit } from "./cells.js";

const KINDS = { energy_kwh_per_t: 0, net_anode_kg_per_t: 2, cost_per_t: 1 };
const TOTALS = { energy_kwh: 0, anode_kg: 0, money: 0, t_co2: 1 };

let kind = "energy_kwh_per_t";

const unitOf = (name) => (name === "cost_per_t" ? moneyUnit() : name === "energy_kwh_per_t" ? "kWh/t" : "kg/t");
const totalUnit = (name) => ({ energy_kwh: "kWh", anode_kg: "kg", money: state.savings?.currency ?? "", t_co2: "t CO₂" })[name];

/** Ask for the savings of the line between the chosen dates. */
export async function loadSavings() {
  const line = state.view.line;
  silence("savings");
  try {
    const found = await ask(query("/v1/savings", { line_id: line, ...state.span }));
    if (line === state.view.line) state.savings = found;
  } catch (error) {
    alarm(error, loadSavings, "savings");
  }
  changed();
}

/** The view. */
export function savingsView() {
  const found = state.savings;
  if (!found) return h("p", { class: "waiting" }, t("waiting.savings"));
  return h(
    "div",
    { class: "report" },
    h("section", { class: "panel wide" }, headline(found)),
    h("section", { class: "panel wide" }, weeks(found)),
    h("section", { class: "panel wide" }, h("h2", {}, t("savings.by_cell")), cells(found)),
    h("section", { class: "panel wide" }, h("h2", {}, t("savings.method")), method(found.method)),
  );
}

function span() {
  const set = (name) => (event) => {
    state.span[name] = event.target.value;
    loadSavings();
  };
  return h("span", { class: "span" }, ["first", "last"].map((name) => h("label", {}, t(`savings.${name}`), h("input", { type: "date", value: state.span[name], "data-key": `span-${name}`, onchange: set(name) }))));
}

function headline(found) {
  const line = found.line;
  const promised = (name) => line.promised?.[name] ?? null;
  const realised = (name) => line.realised?.[name] ?? null;
  const widest = (name) => Math.max(1e-9, promised(name)?.upper ?? 0, realised(name)?.upper ?? 0);
  const cellOf = (estimate, name, digits) => (estimate ? [h("td", { class: "n big" }, number(estimate.mean, digits, true)), h("td", { class: "n" }, `${number(estimate.lower, digits, true)} … ${number(estimate.upper, digits, true)}`), h("td", {}, intervalBar(estimate, widest(name), 130))] : h("td", { colspan: 3, class: "unknown" }, t("savings.not_known")));
  return [
    h("header", { class: "panel-head" }, h("h2", {}, t("savings.line", { line: state.view.line })), found.simulated && h("strong", { class: "simulated" }, t("simulated.badge")), h("span", { class: "space" }), span()),
    h("p", {}, t("savings.counted", { days: number(line.cell_days), controls: number(line.controls) })),
    line.note && h("p", { class: "told" }, told(line.note)),
    h("div", { class: "headline" }, h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": t("savings.promised"), "data-key": "savings-head" },
      h(
        "table",
        { class: "savings" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("savings.a_tonne")), h("th", { scope: "colgroup", colspan: 3 }, t("savings.promised")), h("th", { scope: "colgroup", colspan: 3 }, t("savings.realised")))),
        h("tbody", {}, Object.entries(KINDS).map(([name, digits]) => h("tr", {}, h("th", { scope: "row" }, t(`savings.${name}`), h("small", {}, ` ${unitOf(name)}`)), cellOf(promised(name), name, digits), cellOf(realised(name), name, digits)))),
      ),
    ),
    h("dl", { class: "totals" }, Object.entries(TOTALS).map(([name, digits]) => h("div", {}, h("dt", {}, t(`savings.${name}`)), h("dd", {}, line[name] ? [h("b", {}, number(line[name].mean, digits, true)), ` ${totalUnit(name)}`, h("small", {}, `${number(line[name].lower, digits, true)} … ${number(line[name].upper, digits, true)}`)] : t("savings.not_known")))))),
  ];
}

function weeks(found) {
  const shown = found.weeks;
  const readout = h("p", { class: "readout" }, t("savings.look"));
  const pick = (event) => {
    kind = event.target.value;
    changed();
  };
  const first = shown.map((week) => week.promised?.[kind] ?? null);
  const second = shown.map((week) => week.realised?.[kind] ?? null);
  const digits = KINDS[kind];
  const one = (estimate) => (estimate ? `${number(estimate.mean, digits, true)} (${number(estimate.lower, digits, true)} … ${number(estimate.upper, digits, true)})` : t("savings.not_known"));
  const look = (i) => {
    if (!shown[i]) return;
    readout.textContent = `${shown[i].week} · ${t("savings.promised")} ${one(first[i])} · ${t("savings.realised")} ${one(second[i])} ${unitOf(kind)}${shown[i].note ? ` · ${told(shown[i].note)}` : ""}`;
  };
  return [
    h(
      "header",
      { class: "panel-head" },
      h("h2", {}, t("savings.by_week")),
      h("div", { class: "choices", role: "radiogroup", "aria-label": t("savings.by_week") }, Object.keys(KINDS).map((name) => h("label", { class: `choice ${kind === name ? "chosen" : ""}` }, h("input", { type: "radio", name: "kind", value: name, checked: kind === name, "data-key": `kind-${name}`, onchange: pick }), t(`savings.${name}`)))),
      h("span", { class: "note" }, unitOf(kind)),
    ),
    shown.length ? fitted("chart wide-chart", (width) => pairs({ names: shown.map((week) => week.week), first, second, label: t("savings.chart"), look }, width)) : h("p", {}, t("savings.no_weeks")),
    readout,
    chartKey([["promised", t("savings.promised")], ["realised", t("savings.realised")], ["whisker", t("key.interval")]]),
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": t("savings.by_week"), "data-key": "savings-weeks" },
      h("table", {}, h("thead", {}, h("tr", {}, ["week", "days", "promised", "realised", "energy_kwh", "anode_kg", "money", "t_co2", "note"].map((name) => h("th", { scope: "col", class: ["week", "note"].includes(name) ? "" : "n" }, t(`savings.${name}`), totalUnit(name) && h("small", {}, ` ${totalUnit(name)}`))))), h("tbody", {}, shown.map((week, i) => h("tr", {}, h("th", { scope: "row" }, week.week), h("td", { class: "n" }, number(week.cell_days)), h("td", { class: "n" }, one(first[i])), h("td", { class: "n" }, one(second[i])), Object.entries(TOTALS).map(([name, places]) => h("td", { class: "n" }, week[name] ? number(week[name].mean, places, true) : "–")), h("td", {}, week.note ? told(week.note) : ""))))),
    ),
  ];
}

function cells(found) {
  const one = (estimate) => (estimate ? `${number(estimate.mean, 0, true)} (${number(estimate.lower, 0, true)} … ${number(estimate.upper, 0, true)})` : "–");
  const rows = [...found.cells].sort((a, b) => byName(a.cell_id, b.cell_id));
  const widest = Math.max(1e-9, ...rows.flatMap((row) => [row.realised?.energy_kwh_per_t?.upper ?? 0, row.promised?.energy_kwh_per_t?.upper ?? 0]));
  if (!rows.length) return h("p", {}, t("savings.no_cells"));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("savings.by_cell"), "data-key": "savings-cells" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ["cell", "advised", "accepted", "days", "promised", "realised", "drawn", "money", "note"].map((name) => h("th", { scope: "col", class: ["cell", "note", "drawn"].includes(name) ? "" : "n" }, t(`savings.${name}`), ["promised", "realised"].includes(name) && h("small", {}, " kWh/t"), name === "money" && h("small", {}, ` ${found.currency}`))))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, row.cell_id), h("td", { class: "n" }, number(row.recommendations)), h("td", { class: "n" }, number(row.accepted)), h("td", { class: "n" }, number(row.cell_days)), h("td", { class: "n" }, one(row.promised?.energy_kwh_per_t)), h("td", { class: "n" }, one(row.realised?.energy_kwh_per_t)), h("td", {}, row.realised?.energy_kwh_per_t ? intervalBar(row.realised.energy_kwh_per_t, widest, 110) : ""), h("td", { class: "n" }, row.money ? number(row.money.mean, 0, true) : "–"), h("td", {}, row.note ? told(row.note) : "")))),
    ),
  );
}

function method(found) {
  if (!found) return h("p", {}, t("savings.no_method"));
  const written = { confidence: `${number(found.confidence * 100)} %`, baseline_days: `${number(found.baseline_days)} d`, settling_days: `${number(found.settling_days)} d`, horizon_days: `${number(found.horizon_days)} d`, grid_factor: found.grid_factor ?? "–", waiting: number(found.waiting) };
  return [h("p", {}, told(found)), h("dl", { class: "facts-list" }, Object.entries(written).map(([name, value]) => [h("dt", {}, t(`method.${name}`)), h("dd", {}, value)]))];
}
