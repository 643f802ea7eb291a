// What is expected: the saving with its interval, and every outcome inside its window.

import { intervalBar, chartKey, windowBar } from "./charts.js";
import { h } from "./dom.js";
import { amount, number, unit } from "./format.js";
import { OUTCOMES } from "./dictionary.js";
import { moneyUnit } from "./cells.js";
import { named, t } from "./words.js";

/** The saving a tonne: energy, anode and money, each with its bounds. */
export function savingView(advice) {
  const { energy_kwh_per_t: energy, net_anode_kg_per_t: anode, cost_per_t: cost } = advice.saving;
  const rows = [
    [t("saving.money"), cost, moneyUnit(), 1],
    [t("saving.energy"), energy, "kWh/t", 0],
    [t("saving.anode"), anode, "kg/t", 2],
  ];
  return [
    h(
      "table",
      { class: "saving" },
      h("thead", {}, h("tr", {}, ["what", "mean", "interval", "drawn"].map((name) => h("th", { scope: "col", class: name === "mean" || name === "interval" ? "n" : "" }, t(`saving.${name}`))))),
      h(
        "tbody",
        {},
        rows.map(([name, estimate, of, digits]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, name, h("small", {}, ` ${of}`)),
            estimate ? [h("td", { class: "n big" }, number(estimate.mean, digits)), h("td", { class: "n" }, `${number(estimate.lower, digits)} … ${number(estimate.upper, digits)}`), h("td", {}, intervalBar(estimate, estimate.upper * 1.05, 150))] : h("td", { colspan: 3 }, t("saving.unknown")),
          ),
        ),
      ),
    ),
    h("small", { class: "note" }, t("saving.note")),
  ];
}

const WINDOW = /^(-?[\d.]+) to (-?[\d.]+)$|^at most (-?[\d.]+)$|^at least (-?[\d.]+)$/;

/** The windows that the reasons name: outcome -> {low, high}. */
export function windowsOf(advice) {
  const found = {};
  for (const { evidence } of advice.reasons) {
    const parts = WINDOW.exec(evidence?.window ?? "");
    const name = Object.keys(OUTCOMES).find((key) => OUTCOMES[key].en === evidence?.outcome);
    if (!parts || !name) continue;
    const [low, high] = [parts[1] ?? parts[4], parts[2] ?? parts[3]].map((value) => (value === undefined ? undefined : Number(value)));
    found[name] = { low, high };
  }
  return found;
}

const between = (window) => {
  if (!window) return "–";
  if (window.low === undefined) return `≤ ${number(window.high, 0)}`;
  if (window.high === undefined) return `≥ ${number(window.low, 0)}`;
  return `${number(window.low, 0)} … ${number(window.high, 0)}`;
};

/** Every outcome: now, expected with its interval, its window. */
export function outcomesView(advice) {
  const windows = windowsOf(advice);
  const moved = advice.status === "move";
  return [
    h(
      "table",
      { class: "outcomes" },
      h("thead", {}, h("tr", {}, ["what", "now", "then", "interval", "window", "drawn"].map((name) => h("th", { scope: "col", class: ["what", "drawn"].includes(name) ? "" : "n" }, t(`outcome.${name}`))))),
      h(
        "tbody",
        {},
        Object.entries(advice.expected).map(([name, one]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, named(name), h("small", {}, ` ${unit(one.unit)}`)),
            h("td", { class: "n" }, amount(one.current, one.unit)),
            h("td", { class: "n" }, moved ? h("b", {}, amount(one.recommended, one.unit)) : "–"),
            h("td", { class: "n" }, `${amount(one.lower, one.unit)} … ${amount(one.upper, one.unit)}`),
            h("td", { class: "n" }, between(windows[name])),
            h("td", {}, windowBar(one, windows[name], 150)),
          ),
        ),
      ),
    ),
    chartKey([["now", t("key.now")], ["mean", t("key.then")], ["whisker", t("key.interval")], ["inside", t("key.window")]]),
  ];
}
