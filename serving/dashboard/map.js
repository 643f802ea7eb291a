// The line as it stands in the hall: out along row A, back along row B, in blocks where it is longer than the screen.

import { address } from "./address.js";
import { findingsOf, filtered, measureUnit, savingOf, sentence, short, stateOf } from "./cells.js";
import { fitted, h, icon } from "./dom.js";
import { number, ticks } from "./format.js";
import { limitsView } from "./limits.js";
import { shiftView } from "./shift.js";
import { state } from "./store.js";
import { t } from "./words.js";

const STEPS = 6;
const GAP = 3;
const LABEL = 26;

let roving = "";
let geometry = { rows: [] };

/** Edges of the classes of opportunity: 0 and five round steps. */
export function edges(cells, measure) {
  const most = Math.max(0, ...cells.map((cell) => savingOf(cell, measure)?.mean ?? 0));
  if (!most) return null;
  const { step } = ticks(0, most, STEPS);
  return Array.from({ length: STEPS }, (_, i) => i * step);
}

const classOf = (value, bounds) => bounds.reduce((found, edge, i) => (value >= edge ? i : found), 0);

/** The rows of the hall: each an array of cells or gaps, `columns` wide. */
export function rowsOf(cells, columns) {
  const half = Math.ceil(cells.length / 2);
  const [out, back] = [cells.slice(0, half), cells.slice(half)];
  const rows = [];
  for (let at = 0; at < half; at += columns) {
    const upto = Math.min(at + columns, half);
    const lower = [];
    for (let i = at; i < upto; i += 1) lower.push(back[half - 1 - i] ?? null);
    rows.push({ name: "A", cells: out.slice(at, upto) }, { name: "B", cells: lower });
  }
  return rows;
}

function size(count, width) {
  const half = Math.ceil(count / 2);
  const room = width - LABEL;
  const least = count <= 40 && width > 560 ? 34 : count <= 80 ? 46 : 40;
  const columns = Math.max(1, Math.min(half, Math.floor((room + GAP) / (least + GAP))));
  const even = Math.ceil(half / Math.ceil(half / columns));
  return { columns: even, tile: Math.min(76, Math.floor((room + GAP) / even) - GAP) };
}

function face(cell, measure, bounds) {
  const now = stateOf(cell);
  if (measure === "state") return { css: `is-${now}`, mark: icon(now), text: "" };
  if (measure === "health") {
    const found = findingsOf(cell);
    if (!found) return { css: "is-none", mark: null, text: "…" };
    return found.length ? { css: "is-finding", mark: icon("finding"), text: "" } : { css: "is-sound", mark: icon("sound"), text: "" };
  }
  const saving = savingOf(cell, measure);
  const mark = ["accept", "modify", "reject", "expired"].includes(now) ? icon(now) : null;
  if (!saving || !bounds) return { css: `is-${now} plain`, mark: icon(now), text: "" };
  return { css: `q${classOf(saving.mean, bounds)}`, mark, text: number(saving.mean, 0) };
}

function tile(cell, at, shown, bounds) {
  const { css, mark, text } = face(cell, state.measure, bounds);
  const chosen = cell.cell_id === state.view.cell;
  return h(
    "button",
    {
      type: "button",
      role: "gridcell",
      class: `tile ${css} ${chosen ? "chosen" : ""} ${shown.has(cell.cell_id) ? "" : "dim"}`,
      tabindex: cell.cell_id === at ? "0" : "-1",
      "aria-selected": chosen ? "true" : "false",
      "aria-label": sentence(cell),
      "data-key": `tile-${cell.cell_id}`,
      "data-cell": cell.cell_id,
    },
    h("span", { class: "tile-name" }, short(cell), text ? mark : null),
    h("span", { class: "tile-face" }, text || mark),
  );
}

function draw(width) {
  const cells = state.payload.cells;
  const shown = new Set(filtered(cells).map((cell) => cell.cell_id));
  const bounds = edges(cells, state.measure);
  const { columns, tile: side } = size(cells.length, width);
  const known = cells.some((cell) => cell.cell_id === roving);
  const at = known ? roving : state.view.cell || cells[0]?.cell_id;
  geometry = { rows: rowsOf(cells, columns) };
  const rows = geometry.rows.map((row, i) =>
    h(
      "div",
      { role: "row", class: `hall-row ${row.name === "A" && i ? "block" : ""}` },
      h("span", { class: "row-name", role: "rowheader", title: t(row.name === "A" ? "map.row_out" : "map.row_back") }, row.name === "A" ? "A→" : "B←"),
      row.cells.map((cell) => (cell ? tile(cell, at, shown, bounds) : h("span", { class: "tile gap", role: "gridcell" }))),
    ),
  );
  const grid = h("div", { role: "grid", class: `hall ${side < 50 ? "small" : ""}`, "aria-label": t("map.grid"), onkeydown: onKey, onclick: onClick, onpointerover: onLook, onfocusin: onLook }, rows);
  grid.style.setProperty("--tile", `${side}px`);
  return grid;
}

function onClick(event) {
  const button = event.target.closest("[data-cell]");
  if (!button) return;
  roving = button.dataset.cell;
  location.hash = address(state.view.line, "line", roving);
}

function onLook(event) {
  const button = event.target.closest("[data-cell]");
  const cell = button && state.payload.cells.find((one) => one.cell_id === button.dataset.cell);
  const readout = document.querySelector(".readout");
  if (cell && readout) readout.textContent = sentence(cell);
}

function onKey(event) {
  const button = event.target.closest("[data-cell]");
  if (!button) return;
  const { rows } = geometry;
  const y = rows.findIndex((row) => row.cells.some((cell) => cell?.cell_id === button.dataset.cell));
  const x = rows[y].cells.findIndex((cell) => cell?.cell_id === button.dataset.cell);
  const goals = { ArrowRight: [y, x + 1], ArrowLeft: [y, x - 1], ArrowDown: [y + 1, x], ArrowUp: [y - 1, x], Home: [y, 0], End: [y, rows[y].cells.length - 1] };
  const goal = goals[event.key];
  if (!goal) return;
  event.preventDefault();
  const next = target(rows, goal, y);
  if (!next) return;
  roving = next.cell_id;
  button.tabIndex = -1;
  const reached = button.closest(".hall").querySelector(`[data-cell="${CSS.escape(roving)}"]`);
  reached.tabIndex = 0;
  reached.focus();
}

/** The cell at a goal; past a row's end it is the next block's, where there is one. */
function target(rows, [y, x], from) {
  const row = rows[y];
  if (!row) return null;
  if (x >= row.cells.length) return y === from ? (rows[y + 2]?.cells[0] ?? null) : row.cells.at(-1);
  if (x < 0) return rows[y - 2]?.cells.at(-1) ?? null;
  return row.cells[x] ?? null;
}

function legend() {
  if (state.measure === "state") return STATE_LEGEND.map((name) => key(`is-${name}`, icon(name), t(`state.${name}`)));
  if (state.measure === "health") return ["sound", "finding"].map((name) => key(`is-${name}`, icon(name), t(`health.${name}`)));
  const bounds = edges(state.payload.cells, state.measure);
  if (!bounds) return h("span", {}, t("map.no_opportunity"));
  const places = bounds[1] < 1 ? 1 : 0;
  return [
    h("span", {}, t("map.saving_in", { unit: measureUnit(state.measure) })),
    h("span", { class: "scale" }, bounds.map((edge, i) => h("span", { class: `step q${i}` }, i === bounds.length - 1 ? `≥${number(edge, places)}` : number(edge, places)))),
    ["hold", "abstain"].map((name) => key(`is-${name} plain`, icon(name), t(`state.${name}`))),
  ];
}

const STATE_LEGEND = ["move", "hold", "abstain", "expired", "accept", "modify", "reject", "off"];

const key = (css, mark, text) => h("span", { class: "key" }, h("span", { class: `swatch ${css}` }, mark), text);

/** The map with its legend and the line of text that follows the pointer or the focus. */
export function mapView() {
  const chosen = state.payload.cells.find((cell) => cell.cell_id === (state.view.cell || roving));
  return [
    fitted("hall-host", draw),
    h("p", { class: "readout" }, chosen ? sentence(chosen) : t("map.hint")),
    h("div", { class: "legend" }, legend()),
    state.view.cell ? null : [limitsView(), shiftView()],
  ];
}
