// The card of one cell: what is advised, what it saves, why, and what the cell has done; beside it the decision.

import { address, cellAddress } from "./address.js";
import { expired, neighbour, stateOf } from "./cells.js";
import { curvesView, effectsView, precedentsView } from "./explain.js";
import { decisionView } from "./decide.js";
import { current, openCard } from "./details.js";
import { h, icon, put } from "./dom.js";
import { countdown, moment, number, quantity } from "./format.js";
import { earlierView } from "./follow.js";
import { leversView } from "./levers.js";
import { modeView } from "./mode.js";
import { outcomesView, savingView } from "./outcomes.js";
import { mayOperate, run } from "./run.js";
import { draft, focusOn, lineNow, sketch, state } from "./store.js";
import { trendsView } from "./trends.js";
import { constrained, language, reasoned, t } from "./words.js";

let drawnFor = [];

/** Draw the card into `host`, but only where something that it shows has changed. */
export function cardView(host) {
  const cell = current();
  if (!state.view.cell) {
    drawnFor = [];
    put(host);
    return;
  }
  const fresh = cell?.advice && state.details && cell.advice.recommendation_id !== state.details.advice?.recommendation_id;
  if (fresh && state.details.cell_id === state.view.cell && !state.run?.busy && state.details.stale !== cell.advice.recommendation_id) {
    state.details.stale = cell.advice.recommendation_id;
    openCard(state.view.cell);
  }
  const id = cell?.advice?.recommendation_id ?? "";
  const now = [state.view.cell, state.details, state.explained, language(), id, cell?.mode, JSON.stringify(cell?.decision ?? null), cell && stateOf(cell), draft(id).action, state.deciding, state.identity, state.run?.busy, state.followed];
  if (now.length === drawnFor.length && now.every((value, i) => value === drawnFor[i]) && host.childNodes.length) return;
  const another = drawnFor[0] !== now[0];
  drawnFor = now;
  const at = host.querySelector(".card-body")?.scrollTop ?? 0;
  put(host, ...(cell ? contents(cell) : [h("p", { class: "waiting" }, t("card.no_such_cell", { cell: state.view.cell }))]));
  const body = host.querySelector(".card-body");
  if (body) body.scrollTop = another ? 0 : at;
}

function contents(cell) {
  const details = state.details?.cell_id === cell.cell_id ? state.details : null;
  const advice = cell.advice;
  const explained = state.explained?.id === advice?.recommendation_id ? state.explained : null;
  return [
    head(cell, details),
    h(
      "div",
      { class: "card-body", tabindex: "0", role: "region", "aria-label": t("pane.card"), "data-key": "card-body" },
      advice ? adviceView(cell, advice) : part("advice", h("p", {}, t("card.no_advice"))),
      advice && advice.status !== "abstain" && part("effects", effectsView(explained)),
      advice && advice.status !== "abstain" && part("curves", curvesView(explained, advice)),
      part("trends", details?.trends ? trendsView(details, advice) : h("p", { class: "waiting" }, t("waiting.trends"))),
      part("precedents", precedentsView(explained?.precedents ?? details?.precedents ?? null)),
      part("earlier", earlierView(details)),
      part("mode", modeView(cell, advice)),
      advice && part("provenance", provenance(advice)),
    ),
    advice && decisionView(cell, advice),
  ];
}

export const part = (name, ...children) => h("section", { class: `part part-${name}` }, h("h3", {}, t(`part.${name}`)), children);

const step = (by, text, mark) => {
  const next = neighbour(by);
  return h("a", { class: "button", href: next ? cellAddress(next) : null, "aria-label": text, title: text, "data-key": `step${by}`, "aria-disabled": next ? null : "true" }, mark);
};

const SHOWN = ["cell_voltage_v", "bath_temperature_c", "excess_alf3_wt_pct", "noise_mv", "metal_level_mm"];

function head(cell) {
  const advice = cell.advice;
  const now = stateOf(cell);
  const over = expired(cell);
  const values = SHOWN.filter((name) => cell.measured?.[name]);
  return h(
    "header",
    { class: "card-head" },
    h(
      "div",
      { class: "card-title" },
      h("h2", {}, cell.cell_id),
      state.payload.simulated && h("strong", { class: "simulated" }, t("simulated.badge")),
      h("span", { class: `status is-${now}` }, icon(now), t(`state.${now}`)),
      h("span", { class: "space" }),
      mayOperate() && h("button", { type: "button", "data-key": "again", disabled: state.run?.busy || cell.mode === "off", onclick: () => run([cell.cell_id]) }, t("card.again")),
      step(-1, t("card.before"), "‹"),
      step(1, t("card.after"), "›"),
      h("a", { class: "button", href: address(cell.line_id), "aria-label": t("card.close"), title: `${t("card.close")} (Esc)`, "data-key": "close" }, "×"),
    ),
    h(
      "div",
      { class: "facts" },
      fact(t("card.mode"), t(`mode.${cell.mode}`)),
      fact(t("card.age"), cell.age_d === null ? "–" : `${number(cell.age_d)} d`),
      fact(t("card.reported"), cell.last_reported ?? t("card.never")),
      advice && fact(t("card.expires"), over ? t("time.over") : countdown(advice.expires_at, lineNow()), over || cell.decision ? null : advice.expires_at),
      values.map((name) => fact(t(`measured.${name}`), quantity(cell.measured[name].value, cell.measured[name].unit))),
    ),
  );
}

const fact = (name, value, until = null) => h("span", {}, h("small", {}, name), " ", h("b", { "data-until": until }, value));

function adviceView(cell, advice) {
  const held = advice.status !== "move";
  return [
    part(
      "advice",
      held && h("p", { class: "verdict" }, icon(advice.status), t(`verdict.${advice.status}`)),
      advice.levers.length > 0 && leversView(advice),
      advice.binding.length > 0 && h("p", { class: "binding" }, h("span", {}, t("card.binding")), advice.binding.map((name) => h("span", { class: "chip" }, constrained(name)))),
    ),
    h(
      "div",
      { class: "judgement" },
      advice.saving && advice.status === "move" && part("saving", savingView(advice)),
      part("why", h("ul", { class: "reasons" }, advice.reasons.map((reason) => h("li", { class: `reason-${reason.code}` }, reasoned(reason))))),
      Object.keys(advice.expected).length > 0 && part("outcomes", outcomesView(advice)),
    ),
  ];
}

function provenance(advice) {
  const entries = [
    ["recommendation_id", advice.recommendation_id],
    [t("provenance.model"), `${advice.model_name} ${advice.model_version}`],
    [t("provenance.digest"), advice.bundle_digest.slice(0, 16)],
    [t("provenance.date"), advice.date],
    [t("provenance.expires"), moment(advice.expires_at)],
    [t("provenance.support"), advice.support ? `${number(advice.support.score, 3)} (≥ ${number(advice.support.threshold, 3)})` : "–"],
  ];
  return h("dl", { class: "facts-list" }, entries.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

/** The keys of the card; true where one was taken. */
export function cardKeys(pressed) {
  const name = pressed.toLowerCase();
  if (!state.view.cell || state.view.page !== "line") return false;
  if (name === "j" || name === "k") {
    const next = neighbour(name === "j" ? 1 : -1);
    if (next) location.hash = cellAddress(next);
    return true;
  }
  const action = { a: "accept", m: "modify", r: "reject" }[name];
  const choice = action && document.querySelector(`[data-key="decide-${action}"]`);
  if (!choice || choice.disabled) return false;
  sketch(current().advice.recommendation_id, { action });
  focusOn(action === "modify" ? "lever-0" : "reason");
  return true;
}
