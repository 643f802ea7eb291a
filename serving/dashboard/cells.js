// What a cell is to the eye: its state in one word, its opportunity in one number.

import { amount, difference, number } from "./format.js";
import { lineNow, state } from "./store.js";
import { reasonWord, t } from "./words.js";

export const STATES = ["move", "hold", "abstain", "expired", "accept", "modify", "reject", "off", "none"];

/** Whether its advice may no longer be decided. */
export const expired = (cell) =>
  Boolean(cell.advice) && (cell.expired || Date.parse(cell.advice.expires_at) <= lineNow());

/** The one word: what a person has to do or has done comes before what the advice says. */
export function stateOf(cell) {
  if (cell.mode === "off") return "off";
  if (!cell.advice) return "none";
  if (cell.decision) return cell.decision.action;
  if (cell.advice.status === "move" && expired(cell)) return "expired";
  return cell.advice.status;
}

export const MEASURES = { cost: "cost_per_t", energy: "energy_kwh_per_t" };

/** The expected saving of a move in `measure`, an estimate; null where nothing is to be saved. */
export function savingOf(cell, measure) {
  if (cell.mode === "off" || cell.advice?.status !== "move") return null;
  return cell.advice.saving?.[MEASURES[measure] ?? "cost_per_t"] ?? null;
}

export const moneyUnit = () => t("unit.money_per_t", { currency: state.payload?.currency ?? "" });
export const measureUnit = (measure) => (measure === "energy" ? "kWh/t" : moneyUnit());
export const measureDigits = (measure) => (measure === "energy" ? 0 : 1);

export const moved = (advice) => (advice?.levers ?? []).filter((lever) => lever.recommended !== lever.current);

/** What moves, in a few words: "set voltage −26 mV". */
const terse = (lever) => `${t(`brief.${lever.name}`)} ${difference(lever.recommended - lever.current, lever.unit)}`;

/** All that moves, on one line. */
export const changes = (advice) => moved(advice).map(terse).join(" · ");

export const change = (lever) => `${t(`lever.${lever.name}`)} ${difference(lever.recommended - lever.current, lever.unit)}`;

export const short = (cell) => {
  const prefix = `${cell.line_id}-`;
  return cell.cell_id.startsWith(prefix) ? cell.cell_id.slice(prefix.length) : cell.cell_id;
};

/** The findings of data health for a cell; null while nobody has asked. */
export function findingsOf(cell) {
  if (!state.quality) return null;
  return state.quality.cells.find((entry) => entry.cell_id === cell.cell_id)?.findings ?? [];
}

export const measured = (cell, name) => cell.measured?.[name]?.value ?? null;

export const shownMeasured = (cell, name) => amount(measured(cell, name), cell.measured?.[name]?.unit);

/** The whole cell in one sentence, for the readout and for a screen reader. */
export function sentence(cell) {
  const now = stateOf(cell);
  const parts = [`${cell.cell_id}`, t(`state.${now}`)];
  const cost = savingOf(cell, "cost");
  const energy = savingOf(cell, "energy");
  if (cost) parts.push(`${number(cost.mean, 1)} ${moneyUnit()} (≥ ${number(cost.lower, 1)})`);
  if (energy) parts.push(`${number(energy.mean, 0)} kWh/t`);
  for (const lever of moved(cell.advice)) parts.push(change(lever));
  if (!cost && cell.advice?.reasons?.length) parts.push(reasonWord(cell.advice.reasons[0]));
  return parts.join(" · ");
}

export const counts = (cells) => {
  const found = Object.fromEntries(STATES.map((name) => [name, 0]));
  for (const cell of cells) found[stateOf(cell)] = (found[stateOf(cell)] ?? 0) + 1;
  return found;
};

/** The cells that the filter lets through. */
export function filtered(cells) {
  const { text, status } = state.filter;
  const wanted = text.trim().toLowerCase();
  return cells.filter((cell) => {
    if (wanted && !cell.cell_id.toLowerCase().includes(wanted)) return false;
    if (status === "all") return true;
    if (status === "open") return stateOf(cell) === "move";
    if (status === "decided") return Boolean(cell.decision);
    return stateOf(cell) === status;
  });
}

/** The cell before or after the open one, among those that the filter shows. */
export function neighbour(step) {
  const shown = filtered(state.payload.cells);
  const at = shown.findIndex((cell) => cell.cell_id === state.view.cell);
  return at < 0 ? null : (shown[at + step] ?? null);
}
