// Off, advise, approved: what may be done with a cell's advice, set by an engineer and written to the ledger.

import { ask } from "./api.js";
import { h, icon, say } from "./dom.js";
import { alarm, changed, draft, refresh, silence, sketch, state } from "./store.js";
import { t } from "./words.js";
import { openCard } from "./details.js";

const MODES = ["off", "advise", "approved"];

const mayChange = () => !["viewer", "operator"].includes(state.identity?.role);

/** The cell's mode, and for an engineer the form that changes it. */
export function modeView(cell, advice) {
  const id = `mode:${cell.line_id}:${cell.cell_id}`;
  const now = () => ({ mode: cell.mode, levers: cell.mode_levers ?? [], reason: "", ...state.drafts[id] });
  const what = h("p", { class: "note" }, t(`mode.${cell.mode}_what`));
  if (!mayChange()) return [h("p", {}, icon(cell.mode === "advise" ? "move" : cell.mode), " ", h("b", {}, t(`mode.${cell.mode}`))), what, h("p", { class: "note" }, t("mode.engineer"))];
  const names = advice?.levers.map((lever) => lever.name) ?? ["set_voltage_v", "alf3_dose_kg_d", "tap_target_kg", "alumina_feed_kg_d"];
  const levers = h("fieldset", { class: "approved-levers", hidden: now().mode !== "approved" }, h("legend", {}, t("mode.levers")), names.map((name) => h("label", { class: "check" }, h("input", { type: "checkbox", checked: now().levers.includes(name), "data-key": `approve-${name}`, onchange: (event) => tick(name, event.target.checked) }), t(`lever.${name}`))));
  const tick = (name, on) => sketch(id, { levers: names.filter((one) => (one === name ? on : now().levers.includes(one))) });
  const explained = h("p", { class: "note" }, t(`mode.${now().mode}_what`));
  const pick = (mode) => {
    sketch(id, { ...now(), mode });
    levers.hidden = mode !== "approved";
    explained.textContent = t(`mode.${mode}_what`);
    for (const label of choices.children) label.classList.toggle("chosen", label.firstChild.value === mode);
  };
  const choices = h("div", { class: "choices", role: "radiogroup", "aria-label": t("card.mode") }, MODES.map((mode) => h("label", { class: `choice ${now().mode === mode ? "chosen" : ""}` }, h("input", { type: "radio", name: "mode", value: mode, checked: now().mode === mode, "data-key": `mode-${mode}`, onchange: () => pick(mode) }), t(`mode.${mode}`))));
  const submit = (event) => {
    event.preventDefault();
    change(cell, now(), id);
  };
  return h(
    "form",
    { class: "mode", onsubmit: submit },
    choices,
    explained,
    levers,
    h("label", { class: "reason" }, t("mode.reason"), h("input", { type: "text", maxlength: 500, required: true, value: draft(id).reason, "data-key": "mode-reason", oninput: (event) => sketch(id, { ...now(), reason: event.target.value }) })),
    h("button", { type: "submit", "data-key": "mode-record" }, t("mode.record")),
  );
}

async function change(cell, wanted, id) {
  silence("mode");
  const body = { line_id: cell.line_id, mode: wanted.mode, reason: wanted.reason.trim() };
  if (wanted.mode === "approved") body.levers = wanted.levers;
  try {
    const found = await ask(`/v1/cells/${encodeURIComponent(cell.cell_id)}/mode`, { method: "PUT", body });
    Object.assign(cell, { mode: found.mode, mode_levers: found.levers });
    delete state.drafts[id];
    sketch("", {});
    say(t("mode.recorded"));
    await refresh();
    if (state.view.cell === cell.cell_id) openCard(cell.cell_id);
  } catch (error) {
    alarm(error, () => change(cell, wanted, id), "mode", cell.cell_id);
  }
  changed();
}
