// Asking for advice on a line: shown as it comes, cell by cell, and stopped when told to.

import { stream } from "./api.js";
import { h, icon, say } from "./dom.js";
import { number } from "./format.js";
import { alarm, changed, refresh, silence, state } from "./store.js";
import { t } from "./words.js";

/** Whether the signed-in person may ask, accept and reject. */
export const mayOperate = () => state.identity?.role !== "viewer";

/** Ask for advice on `cells` (null = all of the line). */
export async function run(cells = null) {
  if (state.run?.busy) return;
  const controller = new AbortController();
  const known = cells?.length ?? state.payload.cells.length;
  const now = { busy: true, done: 0, total: known, move: 0, hold: 0, abstain: 0, refused: 0, summary: null, controller, stopped: false };
  state.run = now;
  silence("run");
  changed();
  try {
    for await (const part of stream("/v1/recommendations", { line_id: state.view.line, cells }, controller.signal)) take(now, part);
    if (!now.summary && now.done < now.total) throw Object.assign(new Error(t("run.cut", { done: now.done, total: now.total })), { code: "broken_stream" });
    say(t("run.finished", { n: now.done }));
  } catch (error) {
    now.stopped = true;
    alarm(error, () => run(cells), "run");
  }
  now.busy = false;
  changed();
  await refresh().catch((error) => alarm(error, null, "cells"));
}

/** A cell that could not be advised on: told, and the others go on. */
function refuse(now, { cell_id: cell, error, error_zh: text_zh, code }) {
  now.refused += 1;
  alarm(Object.assign(new Error(error), { text_zh, code }), null, `run-${code}`, cell);
}

function take(now, part) {
  now.done = part.done ?? now.done;
  now.total = part.total ?? now.total;
  if (part.summary) now.summary = part.summary;
  for (const refused of Array.isArray(part.refused) ? part.refused : part.refused ? [part.refused] : []) refuse(now, refused);
  for (const advice of part.recommendations ?? (part.recommendation ? [part.recommendation] : [])) {
    now[advice.status] += 1;
    const cell = state.payload.cells.find((one) => one.cell_id === advice.cell_id && one.line_id === advice.line_id);
    if (cell) Object.assign(cell, { advice, decision: null, expired: false });
  }
  if (part.recommendations) now.done = part.recommendations.length;
  changed();
}

/** The button, or how far the run has come. */
export function runView() {
  const now = state.run;
  const tally = now && h("span", { class: "tally" }, ["move", "hold", "abstain"].map((name) => h("span", {}, icon(name), ` ${now[name]} `, h("small", {}, t(`state.${name}`)))), now.refused > 0 && h("span", { class: "attention" }, icon("finding"), ` ${now.refused} `, t("run.refused")));
  const start = h(
    "button",
    { type: "button", class: "primary", "data-key": "run", disabled: !mayOperate() || state.payload.state === "off", title: mayOperate() ? null : t("run.not_allowed"), onclick: () => run() },
    t("run.start"),
  );
  if (!now) return h("div", { class: "run" }, start);
  const energy = now.summary?.energy_kwh_per_t;
  return h(
    "div",
    { class: "run" },
    h(
      "div",
      { class: "progress" },
      now.busy && h("progress", { max: now.total || 1, value: now.done, "aria-label": t("run.progress") }),
      h("span", { class: "n" }, `${now.done} / ${now.total}`),
      tally,
      !now.busy && now.stopped && h("small", {}, t("run.stopped")),
      !now.busy && energy && h("small", {}, `${t("run.mean")} ${number(energy.mean, 0)} (${number(energy.lower, 0)} … ${number(energy.upper, 0)}) kWh/t`),
    ),
    now.busy ? h("button", { type: "button", "data-key": "run", onclick: () => now.controller.abort() }, t("run.cancel")) : start,
  );
}
