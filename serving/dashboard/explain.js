// Why: what each lever and each circumstance does, how the outcome answers to each lever, and what happened before.

import { chartKey, curve, effectBar } from "./charts.js";
import { fitted, h } from "./dom.js";
import { amount, difference, digits, number, quantity, unit } from "./format.js";
import { constrained, featured, named, t } from "./words.js";

const ENERGY = "energy_kwh_per_t";
const waiting = () => h("p", { class: "waiting" }, t("waiting.explained"));

/** The share of each lever in the saving, and the circumstances that set the cell apart from its line. */
export function effectsView(explained) {
  if (!explained) return waiting();
  const found = explained.outcomes?.[ENERGY];
  if (!found) return h("p", {}, t("effects.none"));
  const levers = found.levers.filter((lever) => lever.from !== lever.to);
  const widest = (entries, of) => Math.max(1e-9, ...entries.flatMap(of).map(Math.abs));
  const most = widest(levers, ({ effect }) => [effect.mean, effect.lower ?? 0, effect.upper ?? 0]);
  const around = widest(found.context ?? [], ({ effect }) => [effect]);
  return h(
    "div",
    { class: "two" },
    h(
      "table",
      {},
      h("caption", {}, t("effects.levers")),
      h("tbody", {}, levers.map((lever) => h("tr", {}, h("th", { scope: "row" }, t(`lever.${lever.name}`), h("small", {}, ` ${difference(lever.to - lever.from, lever.unit)}`)), h("td", {}, effectBar(lever.effect.mean, most, lever.effect.mean > 0, lever.effect)), h("td", { class: "n" }, number(lever.effect.mean, 1, true), lever.effect.lower !== null && h("small", {}, ` (${number(lever.effect.lower, 0, true)} … ${number(lever.effect.upper, 0, true)})`)))), !levers.length && h("tr", {}, h("td", {}, t("effects.no_move")))),
    ),
    h(
      "table",
      {},
      h("caption", {}, t("effects.context")),
      h("tbody", {}, (found.context ?? []).map((entry) => h("tr", {}, h("th", { scope: "row" }, featured(entry.feature), h("small", {}, ` ${quantity(entry.value, entry.unit)} (${t("effects.typical")} ${amount(entry.typical, entry.unit)})`)), h("td", {}, effectBar(entry.effect, around, entry.effect < 0)), h("td", { class: "n" }, number(entry.effect, 0, true))))),
    ),
  );
}

/** How the energy answers to each lever, the others as advised. */
export function curvesView(explained, advice) {
  if (!explained) return waiting();
  const shown = advice.levers.filter((lever) => explained.curves?.[lever.name]?.[ENERGY]?.mean?.length > 1);
  if (!shown.length) return h("p", {}, t("curves.none"));
  return [
    h("div", { class: "small-multiples" }, shown.map((lever) => curveFigure(lever, explained.curves[lever.name]))),
    chartKey([["mean-line", t("key.curve")], ["band", t("key.band")], ["now", t("key.now_set")], ["mean", t("key.then_set")], ["limit", t("key.limit")]]),
  ];
}

function curveFigure(lever, found) {
  const { mean, lower, upper } = found[ENERGY];
  const label = t("curves.label", { lever: t(`lever.${lever.name}`) });
  const given = { values: found.values, mean, lower, upper, current: lever.current, recommended: lever.recommended, limits: found.limit, label, places: Math.min(2, digits(lever.unit)) };
  const limits = [...new Set((found.limit ?? []).map((limit) => constrained(limit.constraint)))];
  return h("figure", {}, h("figcaption", {}, h("b", {}, t(`lever.${lever.name}`)), h("small", {}, ` ${unit(lever.unit)} → kWh/t`)), fitted("chart", (width) => curve(given, width)), limits.length > 0 && h("small", { class: "note" }, `${t("key.limit")}: ${limits.join(", ")}`));
}

/** Days of the line's own history that were most like today and moved the same way, with what followed. */
export function precedentsView(precedents) {
  if (!precedents) return waiting();
  if (!precedents.length) return h("p", {}, t("precedents.none"));
  const outcomes = [...new Set(precedents.flatMap((one) => Object.keys(one.outcome ?? {})))];
  const places = { energy_kwh_per_t: 0, net_anode_kg_per_t: 1 };
  const followed = (change, name) => (change ? [`${number(change.before, places[name] ?? 1)} → ${number(change.after, places[name] ?? 1)} `, h("b", {}, change.before === null || change.after === null ? "" : number(change.after - change.before, places[name] ?? 1, true))] : "–");
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": t("part.precedents"), "data-key": "precedents" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("precedents.cell")), h("th", { scope: "col", class: "n" }, t("precedents.date")), h("th", { scope: "col", class: "n" }, t("precedents.distance")), h("th", { scope: "col" }, t("precedents.moves")), outcomes.map((name) => h("th", { scope: "col", class: "n" }, named(name))))),
      h(
        "tbody",
        {},
        precedents.map((one) => h("tr", {}, h("th", { scope: "row" }, one.cell_id), h("td", { class: "n" }, one.date), h("td", { class: "n" }, number(one.distance, 2)), h("td", {}, Object.entries(one.levers ?? {}).map(([name, { before, after }]) => h("span", { class: "move" }, `${t(`lever.${name}`)} ${difference(after - before, LEVER_UNITS[name])}`))), outcomes.map((name) => h("td", { class: "n" }, followed(one.outcome?.[name], name))))),
      ),
    ),
    h("small", { class: "note" }, t("precedents.note")),
  );
}

const LEVER_UNITS = { set_voltage_v: "V", alf3_dose_kg_d: "kg/d", tap_target_kg: "kg", alumina_feed_kg_d: "kg/d" };
