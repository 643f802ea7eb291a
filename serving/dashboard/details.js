// What an open card needs beyond the line's answer: trends, earlier advice, and the explanation of today's.

import { ask, query } from "./api.js";
import { alarm, changed, silence, state } from "./store.js";

const DAYS = 60;

/** Load the card of `cellId`: the cell with its trends, then why its advice says what it says. */
export async function openCard(cellId) {
  const line = state.view.line;
  const same = state.details?.cell_id === cellId && state.details.line_id === line;
  if (!same) Object.assign(state, { details: null, explained: null, followed: {} });
  silence("card");
  changed();
  const still = () => state.view.cell === cellId && state.view.line === line;
  try {
    const details = await ask(query(`/v1/cells/${encodeURIComponent(cellId)}`, { line_id: line, days: DAYS }));
    if (!still()) return;
    state.details = details;
    changed();
    const id = details.advice?.recommendation_id;
    if (!id || details.advice.status === "abstain" || state.explained?.id === id) return;
    const explained = await ask("/v1/explain", { method: "POST", body: { recommendation_id: id } });
    if (still()) state.explained = { id, ...explained };
    changed();
  } catch (error) {
    if (still()) alarm(error, () => openCard(cellId), "card");
  }
}

/** The open cell as the line's newest answer has it; null where there is no such cell. */
export function current() {
  return state.payload.cells.find((one) => one.cell_id === state.view.cell) ?? null;
}
