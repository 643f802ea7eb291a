// Accept, modify, reject: two steps, so that nobody decides by a slip, and nothing typed is ever lost.

import { ask } from "./api.js";
import { expired, stateOf } from "./cells.js";
import { h, icon, say } from "./dom.js";
import { amount, difference, digits, moment, unit } from "./format.js";
import { RESOLUTIONS } from "./dictionary.js";
import { mayOperate } from "./run.js";
import { alarm, changed, discard, draft, refresh, silence, sketch, state } from "./store.js";
import { t } from "./words.js";
import { openCard } from "./details.js";

const ACTIONS = ["accept", "modify", "reject"];

/** The bar at the foot of a card: what was decided, why nothing can be, or the choice. */
export function decisionView(cell, advice) {
  if (cell.decision) return h("footer", { class: "decide" }, decided(cell.decision, advice));
  const why = closed(cell, advice);
  if (why) return h("footer", { class: "decide" }, h("p", {}, why));
  const now = draft(advice.recommendation_id);
  return h(
    "footer",
    { class: "decide" },
    h("div", { class: "choices actions", role: "radiogroup", "aria-label": t("decide.label") }, ACTIONS.map((action) => choice(action, now, advice))),
    ACTIONS.includes(now.action) && form(cell, advice, now),
    !now.action && h("small", { class: "note" }, t("decide.nothing_sent")),
  );
}

function closed(cell, advice) {
  if (cell.mode === "off") return t("decide.off");
  if (advice.status !== "move") return t("decide.no_move");
  if (stateOf(cell) === "expired" || expired(cell)) return t("decide.expired");
  if (!mayOperate()) return t("decide.viewer");
  return "";
}

function choice(action, now, advice) {
  const pick = () => {
    sketch(advice.recommendation_id, { action });
    changed();
  };
  return h("label", { class: `choice ${now.action === action ? "chosen" : ""}` }, h("input", { type: "radio", name: "decide", value: action, checked: now.action === action, "data-key": `decide-${action}`, onchange: pick }), icon(action), t(`decide.${action}`));
}

function form(cell, advice, now) {
  const id = advice.recommendation_id;
  const needed = now.action === "reject";
  const submit = (event) => {
    event.preventDefault();
    record(cell, advice);
  };
  return h(
    "form",
    { class: "decision", onsubmit: submit },
    now.action === "modify" && h("div", { class: "inputs" }, advice.levers.map((lever, i) => input(lever, i, id))),
    h(
      "label",
      { class: "reason" },
      t(needed ? "decide.reason_needed" : "decide.reason"),
      h("textarea", { rows: 2, maxlength: 500, required: needed, value: now.reason, "data-key": "reason", oninput: (event) => sketch(id, { reason: event.target.value }) }),
    ),
    h("button", { type: "submit", class: "primary", "data-key": "record", disabled: state.deciding === id }, t(state.deciding === id ? "decide.busy" : `decide.record_${now.action}`)),
    h("small", { class: "note" }, t("decide.nothing_sent")),
  );
}

/** One lever's own value: in grid steps from today's setting, inside what the guard allows. */
function input(lever, i, id) {
  const grid = RESOLUTIONS[lever.name] ?? 10 ** -digits(lever.unit);
  const typed = () => draft(id).levers[lever.name] ?? lever.recommended;
  const note = h("small", {}, staged(lever, typed()));
  const field = h("input", {
    type: "number",
    inputmode: "decimal",
    step: "any",
    min: lever.lower,
    max: lever.upper,
    required: true,
    value: amount(typed(), lever.unit).replace("−", "-").replaceAll("\u202f", ""),
    "data-key": `lever-${i}`,
    "aria-label": `${t(`lever.${lever.name}`)}, ${unit(lever.unit)}, ${amount(lever.lower, lever.unit)} … ${amount(lever.upper, lever.unit)}`,
    oninput: () => keep(field.valueAsNumber),
    onkeydown: (event) => {
      const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      nudge(by);
    },
  });
  const keep = (value) => {
    sketch(id, { levers: { ...draft(id).levers, [lever.name]: Number.isFinite(value) ? value : lever.recommended } });
    note.textContent = Number.isFinite(value) ? staged(lever, value) : "";
  };
  const nudge = (by) => {
    const from = Number.isFinite(field.valueAsNumber) ? field.valueAsNumber : lever.recommended;
    const steps = Math.round((from - lever.current) / grid) + by;
    const value = Number((lever.current + steps * grid).toFixed(9));
    if (value < lever.lower - 1e-9 || value > lever.upper + 1e-9) return;
    field.value = value;
    keep(value);
  };
  const turn = (by, mark) => h("button", { type: "button", tabindex: "-1", "aria-hidden": "true", onclick: () => nudge(by) }, mark);
  return h("div", { class: "lever-input" }, h("span", {}, t(`lever.${lever.name}`), h("small", {}, ` ${unit(lever.unit)}`)), h("span", { class: "stepper" }, turn(-1, "−"), field, turn(1, "+")), h("small", { class: "bounds" }, `${amount(lever.lower, lever.unit)} … ${amount(lever.upper, lever.unit)}`), note);
}

function staged(lever, value) {
  const away = value - lever.current;
  const days = Math.ceil(Math.abs(away) / lever.step - 1e-9);
  if (!days) return t("decide.unchanged");
  return `${difference(away, lever.unit)}${days > 1 ? ` · ${t("decide.days", { n: days })}` : ""}`;
}

async function record(cell, advice) {
  const id = advice.recommendation_id;
  if (state.deciding === id) return;
  const { action, reason, levers } = draft(id);
  const body = { action, reason: reason.trim() };
  if (action === "modify") body.levers = Object.fromEntries(advice.levers.map((lever) => [lever.name, levers[lever.name] ?? lever.recommended]));
  state.deciding = id;
  silence("decision");
  changed();
  try {
    const decision = await ask(`/v1/recommendations/${encodeURIComponent(id)}/decision`, { method: "POST", body });
    cell.decision = decision;
    discard(id);
    say(t("decide.recorded"));
    refresh().catch((error) => alarm(error, null, "cells"));
    if (state.view.cell === cell.cell_id) openCard(cell.cell_id);
  } catch (error) {
    alarm(error, () => record(cell, advice), "decision", cell.cell_id);
  }
  state.deciding = null;
  changed();
}

function decided(decision, advice) {
  const levers = Object.entries(decision.levers ?? {});
  const of = (name) => advice.levers.find((lever) => lever.name === name)?.unit ?? "";
  return h(
    "p",
    { class: "decided" },
    icon(decision.action),
    h("b", {}, t(`state.${decision.action}`)),
    h("span", {}, `${decision.subject} · ${moment(decision.decided_at)}`),
    decision.action === "modify" && levers.map(([name, value]) => h("span", { class: "chip" }, `${t(`lever.${name}`)} ${amount(value, of(name))} ${unit(of(name))}`)),
    decision.reason && h("q", {}, decision.reason),
  );
}
