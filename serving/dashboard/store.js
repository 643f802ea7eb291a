// What the page knows, in one place; whoever changes it says so, and it is drawn once a frame.

import { ask, query } from "./api.js";

const KEPT = "superheat.drafts";

export const state = {
  identity: null,
  payload: null, // the answer of /v1/cells for the line that is shown
  lines: [],
  quality: null,
  savings: null,
  span: { first: "", last: "" },
  view: { line: "", page: "line", cell: "" },
  measure: "cost",
  filter: { text: "", status: "all" },
  sort: { by: "saving", down: true },
  run: null,
  shift: { budgets: {}, found: null, busy: false }, // what a shift can do, as typed, and the order of work
  details: null, // the answer of /v1/cells/{cell} of the open card
  explained: null,
  followed: {}, // recommendation -> what became of it, for the rows that are open
  alerts: [],
  drafts: drafted(),
};

/** The present moment on the line's own clock: a simulated line lives on the day after its record ends. */
export const lineNow = () => Date.now() + (state.payload?.ahead || 0);

let listener = () => {};
let planned = false;

/** Call `draw` after every change, at most once a frame. */
export function drawn(draw) {
  listener = draw;
}

let wanted = "";

/** Redraw, and put the focus on what carries the `data-key`, as soon as it is there. */
export function focusOn(key) {
  wanted = key;
  changed();
}

const AT_ONCE_MS = 25;
let [ended, cost] = [0, 0];

/** Plan a redraw. One that takes long, as of a long line on a slow machine, leaves twice its time to the reader. */
export function changed() {
  if (planned) return;
  planned = true;
  const rest = cost > AT_ONCE_MS ? Math.min(1000, 2 * cost) - (performance.now() - ended) : 0;
  if (rest > 0) setTimeout(() => requestAnimationFrame(redraw), rest);
  else requestAnimationFrame(redraw);
}

function redraw() {
  planned = false;
  if (held) {
    waiting = true;
    return;
  }
  const began = performance.now();
  listener();
  const aim = wanted ? document.querySelector(`[data-key="${CSS.escape(wanted)}"]`) : null;
  if (aim?.checkVisibility()) {
    aim.focus();
    wanted = "";
  }
  ended = performance.now();
  cost = ended - began;
}

// While a button is held down or a word is being composed nothing is redrawn: the click or the word would be lost.
let held = false;
let waiting = false;
const hold = () => (held = true);
const release = () =>
  setTimeout(() => {
    held = false;
    if (waiting) changed();
    waiting = false;
  });
for (const name of ["pointerdown", "compositionstart"]) addEventListener(name, hold, true);
for (const name of ["pointerup", "pointercancel", "compositionend"]) addEventListener(name, release, true);
addEventListener("keydown", (event) => event.key === " " && hold(), true);
addEventListener("keyup", (event) => event.key === " " && release(), true);
addEventListener("blur", release);

/** Show a refusal or failure, `about` one cell where it is named; `again` is what "try again" does. */
export function alarm(error, again = null, where = "", about = "") {
  if (error.name === "AbortError") return;
  state.alerts = state.alerts.filter((entry) => entry.where !== where || !where);
  state.alerts.push({ about, text: error.text ?? error.message, text_zh: error.text_zh, code: error.code ?? "", requestId: error.requestId ?? "", again, where });
  state.alerts = state.alerts.slice(-4);
  if (!("code" in error)) console.error(error);
  changed();
}

export function silence(where) {
  state.alerts = state.alerts.filter((entry) => entry.where !== where);
}

function drafted() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  } catch {
    return {};
  }
}

/** What was typed about a recommendation and not yet recorded; it survives refusals and reloads. */
export function draft(id) {
  return state.drafts[id] ?? { action: "", reason: "", levers: {} };
}

export function sketch(id, part) {
  state.drafts[id] = { ...draft(id), ...part };
  sessionStorage.setItem(KEPT, JSON.stringify(state.drafts));
}

export function discard(id) {
  delete state.drafts[id];
  sessionStorage.setItem(KEPT, JSON.stringify(state.drafts));
}

/** Ask for the cells of the line that is shown. */
export async function refresh() {
  const wanted = state.view.line;
  const payload = await ask(query("/v1/cells", { line_id: wanted }));
  if (wanted !== state.view.line) return;
  const lines = payload.lines.map((line) => line.line_id);
  state.lines = [...new Set([...state.lines, ...lines])].sort(byName);
  if (!wanted && lines.length) state.view.line = [...lines].sort(byName)[0];
  const mine = payload.lines.find((line) => line.line_id === state.view.line);
  if (mine) Object.assign(payload, mine, { ahead: Date.parse(mine.now) - Date.now() });
  payload.cells = payload.cells.filter((cell) => cell.line_id === state.view.line).sort((a, b) => byName(a.cell_id, b.cell_id));
  state.payload = payload;
  changed();
}

/** Order names as people count: L1-2 before L1-10. */
export const byName = new Intl.Collator("en", { numeric: true }).compare;
