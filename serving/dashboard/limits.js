// What stands between the line and a larger saving: what stops the moves, and why the other cells are not moved.

import { stateOf } from "./cells.js";
import { h } from "./dom.js";
import { number } from "./format.js";
import { state } from "./store.js";
import { constrained, reasonWord, t } from "./words.js";

function tally(entries) {
  const found = new Map();
  for (const [name, text] of entries) found.set(name, { text, n: (found.get(name)?.n ?? 0) + 1 });
  return [...found.values()].sort((a, b) => b.n - a.n);
}

const bars = (title, rows, most) =>
  rows.length > 0 && h("div", {}, h("h3", {}, title), h("ul", { class: "tally-bars" }, rows.map(({ text, n }) => h("li", {}, h("span", {}, text), h("meter", { min: 0, max: most, value: n, "aria-hidden": "true" }), h("b", {}, number(n))))));

/** Both tallies over the cells of the line. */
export function limitsView() {
  const cells = state.payload.cells.filter((cell) => cell.advice && stateOf(cell) !== "off");
  const moves = cells.filter((cell) => cell.advice.status === "move");
  const stops = tally(moves.flatMap((cell) => cell.advice.binding.map((name) => [name, constrained(name)])));
  const others = tally(cells.filter((cell) => cell.advice.status !== "move").map((cell) => [cell.advice.reasons[0].code, reasonWord(cell.advice.reasons[0])]));
  return h("div", { class: "limits" }, bars(t("limits.stops"), stops, moves.length), bars(t("limits.others"), others, cells.length - moves.length));
}
