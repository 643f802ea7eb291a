// Whether data and model can be trusted today: sensors, drift, the model's errors since.

import { address } from "./address.js";
import { ask } from "./api.js";
import { h, icon, s } from "./dom.js";
import { number, unit } from "./format.js";
import { scale } from "./charts.js";
import { alarm, byName, changed, silence, state } from "./store.js";
import { featured, named, reasoned, t } from "./words.js";

let asking = false;

/** Ask for the health of the line's data and model. */
export async function loadHealth() {
  if (asking) return;
  asking = true;
  const line = state.view.line;
  silence("health");
  try {
    const found = await ask("/v1/quality", { method: "POST", body: { line_id: line } });
    if (line === state.view.line) state.quality = found;
  } catch (error) {
    alarm(error, loadHealth, "health");
  }
  asking = false;
  changed();
}

/** The view. */
export function healthView() {
  const found = state.quality;
  if (!found) return h("p", { class: "waiting" }, t("waiting.health"));
  const bad = found.cells.filter((cell) => cell.findings.length);
  const drifted = found.drift.filter((entry) => entry.drifted);
  const unsound = found.model_error.filter((entry) => entry.state !== "sound");
  return h(
    "div",
    { class: "report" },
    h(
      "section",
      { class: "strip-pane wide" },
      tally(t("health.cells"), bad.length, found.cells.length),
      tally(t("health.signals"), found.signals.filter(troubled).length, found.signals.length),
      tally(t("health.drift"), drifted.length, found.drift.filter((entry) => entry.psi !== null).length),
      tally(t("health.errors"), unsound.length, found.model_error.length),
      state.payload.simulated && h("strong", { class: "simulated" }, t("simulated.badge")),
    ),
    h("section", { class: "panel" }, h("h2", {}, t("health.errors")), errors(found.model_error)),
    h("section", { class: "panel" }, h("h2", {}, t("health.findings")), findings(bad)),
    h("section", { class: "panel" }, h("h2", {}, t("health.signals")), signals(found.signals)),
    h("section", { class: "panel" }, h("h2", {}, t("health.drift")), drift(found.drift)),
    h("section", { class: "panel wide" }, h("h2", {}, t("health.model")), model()),
  );
}

const troubled = (signal) => signal.stale_cells > 0 || signal.stuck_cells > 0 || signal.out_of_range > 0;

const tally = (name, bad, all) => h("div", { class: "figure" }, h("span", {}, name), h("b", { class: bad ? "attention" : "" }, bad ? icon("finding") : icon("sound"), number(bad), h("small", {}, ` / ${number(all)}`)));

const heads = (names, numbers, prefix) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col", class: numbers.includes(name) ? "n" : "" }, t(`${prefix}.${name}`)))));

const flag = (value) => h("td", { class: `n ${value ? "attention" : ""}` }, value ? [icon("finding"), number(value)] : "0");

function signals(rows) {
  if (!rows.length) return h("p", {}, t("health.nothing"));
  const sorted = [...rows].sort((a, b) => Number(troubled(b)) - Number(troubled(a)));
  const names = ["signal", "reporting", "missing", "stale", "stuck", "out"];
  return scrolled(
    t("health.signals"),
    h("table", {}, heads(names, names.slice(1), "health"), h("tbody", {}, sorted.map((row) => h("tr", {}, h("th", { scope: "row" }, named(row.name), h("small", {}, ` ${unit(row.unit)}`)), h("td", { class: "n" }, number(row.cells_reporting)), h("td", { class: "n" }, `${number(row.missing_share * 100, 1)} %`), flag(row.stale_cells), flag(row.stuck_cells), flag(row.out_of_range))))),
  );
}

function findings(rows) {
  if (!rows.length) return h("p", {}, icon("sound"), " ", t("health.no_findings"));
  const sorted = [...rows].sort((a, b) => byName(a.cell_id, b.cell_id));
  return scrolled(
    t("health.findings"),
    h("table", {}, heads(["cell", "reported", "finding"], ["reported"], "health"), h("tbody", {}, sorted.map((row) => h("tr", {}, h("th", { scope: "row" }, h("a", { href: address(state.view.line, "line", row.cell_id) }, row.cell_id)), h("td", { class: "n" }, row.last_reported ?? t("card.never")), h("td", {}, row.findings.map((finding) => h("div", { class: "finding" }, icon("finding"), h("span", {}, reasoned(finding))))))))),
  );
}

function drift(rows) {
  if (!rows.length) return h("p", {}, t("health.no_drift"));
  const judged = rows.filter((row) => row.psi !== null);
  if (!judged.length) return h("p", {}, t("health.no_drift"));
  const beyond = (row) => row.psi / row.usual;
  const sorted = judged.sort((a, b) => beyond(b) - beyond(a)).slice(0, 20);
  const widest = Math.max(...sorted.map((row) => Math.max(row.psi, row.usual)));
  return [
    scrolled(t("health.drift"), h("table", {}, heads(["feature", "psi", "usual", "drawn", "verdict"], ["psi", "usual"], "health"), h("tbody", {}, sorted.map((row) => h("tr", {}, h("th", { scope: "row" }, featured(row.feature)), h("td", { class: "n" }, number(row.psi, 3)), h("td", { class: "n" }, number(row.usual, 3)), h("td", {}, bar(row.psi, widest, row.usual, row.drifted)), h("td", { class: row.drifted ? "attention" : "" }, row.drifted ? [icon("finding"), t("health.drifted")] : t("health.steady"))))))),
    h("small", { class: "note" }, t("health.psi_note", { n: judged.length })),
  ];
}

function errors(rows) {
  if (!rows.length) return h("p", {}, t("health.no_errors"));
  const widest = Math.max(2, ...rows.map((row) => row.ratio ?? 0));
  return [
    scrolled(
      t("health.errors"),
      h("table", {}, heads(["outcome", "recent", "training", "ratio", "drawn", "days", "verdict"], ["recent", "training", "ratio", "days"], "health"), h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { scope: "row" }, named(row.outcome)), h("td", { class: "n" }, error(row.recent_mae)), h("td", { class: "n" }, error(row.training_mae)), h("td", { class: "n" }, number(row.ratio, 2)), h("td", {}, Number.isFinite(row.ratio) ? bar(row.ratio, widest, 1, row.state !== "sound") : ""), h("td", { class: "n" }, number(row.days)), h("td", { class: row.state === "sound" ? "" : "attention" }, icon(row.state), t(`health.${row.state}`)))))),
    ),
    h("small", { class: "note" }, t("health.error_note")),
  ];
}

const error = (value) => (value === null || value === undefined ? "–" : number(value, value < 0.1 ? 4 : value < 10 ? 2 : 1));

function bar(value, widest, mark, bad) {
  const width = 110;
  const x = scale(0, widest, 1, width - 2);
  return s("svg", { class: "interval", width, height: 12, viewBox: `0 0 ${width} 12`, "aria-hidden": "true" }, s("rect", { class: bad ? "over" : "under", x: 1, y: 3, width: Math.max(1, x(Math.max(0, value)) - 1), height: 6 }), s("line", { class: "edge", x1: x(mark), x2: x(mark), y1: 0, y2: 12 }));
}

function model() {
  const { model: found } = state.payload;
  if (!found) return h("p", {}, t("service.no_model"));
  const rows = [
    [t("provenance.model"), `${found.name} ${found.version}`],
    [t("provenance.digest"), found.bundle_digest],
    [t("health.ready"), found.ready ? t("health.yes") : t("health.no")],
    [t("health.decision_date"), state.payload.date ?? "–"],
  ];
  return h("dl", { class: "facts-list" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

const scrolled = (label, ...children) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label, "data-key": `scroll-${label}` }, children);
