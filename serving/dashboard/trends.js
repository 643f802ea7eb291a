// What the cell has done: set against measured, day by day, one cursor over all charts.

import { chartKey, trend } from "./charts.js";
import { fitted, h } from "./dom.js";
import { quantity, unit } from "./format.js";
import { has, named, t } from "./words.js";

const LEVERS = { cell_voltage_v: "set_voltage_v", alf3_fed_kg_d: "alf3_dose_kg_d", tap_mass_kg: "tap_target_kg", alumina_fed_kg_d: "alumina_feed_kg_d" };
const ORDER = [...Object.keys(LEVERS), "bath_temperature_c", "excess_alf3_wt_pct", "noise_mv", "metal_level_mm", "energy_kwh_per_t"];

const titled = (name) => (has(`trend.${name}`) ? t(`trend.${name}`) : named(name));

const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);

/** The charts of a cell's last days. */
export function trendsView(details, advice) {
  const { dates, signals } = details.trends;
  const names = Object.keys(signals).sort((a, b) => rank(a) - rank(b));
  if (!dates.length || !names.length) return h("p", {}, t("trends.none"));
  const charts = new Map();
  const readouts = new Map();
  const look = (i) => {
    for (const [name, chart] of charts) {
      chart.show(i);
      readouts.get(name).textContent = written(signals[name], i ?? dates.length - 1);
    }
    day.textContent = dates[i ?? dates.length - 1];
  };
  const day = h("b", {}, dates.at(-1));
  const figures = names.map((name) => {
    const readout = h("span", { class: "value", "aria-live": "off" }, written(signals[name], dates.length - 1));
    readouts.set(name, readout);
    const host = fitted("chart", (width) => {
      const chart = trend({ dates, ...signals[name], aim: aimOf(advice, name), label: t("trends.label", { name: titled(name), days: dates.length }), look }, width);
      charts.set(name, chart);
      return chart;
    });
    return h("figure", {}, h("figcaption", {}, h("b", {}, titled(name)), h("small", {}, ` ${unit(signals[name].unit)}`), readout), host);
  });
  return [
    h("p", { class: "note" }, t("trends.day"), " ", day, " · ", t("trends.keys")),
    h("div", { class: "small-multiples" }, figures),
    chartKey([["set", t("key.set")], ["measured", t("key.measured")], ["aim", t("key.aim")]]),
  ];
}

const aimOf = (advice, name) => {
  const lever = advice?.levers.find((one) => one.name === name || one.name === LEVERS[name]);
  return lever && lever.recommended !== lever.current ? lever.recommended : undefined;
};

function written({ set, measured, unit: of }, i) {
  const parts = [];
  if (set) parts.push(`${t("key.set")} ${quantity(set[i], of)}`);
  if (measured) parts.push(set ? `${t("key.measured")} ${quantity(measured[i], of)}` : quantity(measured[i], of));
  return parts.join(" · ");
}
