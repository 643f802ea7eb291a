// What the keys do, and turning the single ones off.

import { h, put } from "./dom.js";
import { t } from "./words.js";

const KEPT = "superheat.single_keys";
const KEYS = [
  ["1 2 3", "help.pages"],
  ["/", "help.filter"],
  ["← → ↑ ↓", "help.arrows"],
  ["Home End", "help.ends"],
  ["Enter", "help.enter"],
  ["Esc", "help.escape"],
  ["J K", "help.next"],
  ["A M R", "help.decide"],
  ["?", "help.this"],
];

/** Whether letters and digits alone are shortcuts. */
export const singleKeys = () => localStorage.getItem(KEPT) !== "off";

/** Show the list of shortcuts. */
export function openHelp() {
  const dialog = document.getElementById("help");
  const toggle = (event) => localStorage.setItem(KEPT, event.target.checked ? "on" : "off");
  put(
    dialog,
    h("h2", { id: "help-title" }, t("help.title")),
    h("dl", { class: "keys" }, KEYS.map(([keys, text]) => [h("dt", {}, keys.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, t(text))])),
    h("label", { class: "check" }, h("input", { type: "checkbox", checked: singleKeys(), onchange: toggle }), t("help.single")),
    h("h2", {}, t("help.reading")),
    h("p", {}, t("help.intervals")),
    h("p", {}, t("help.control")),
    h("form", { method: "dialog" }, h("button", { class: "primary", autofocus: true }, t("help.close"))),
  );
  dialog.setAttribute("aria-labelledby", "help-title");
  dialog.showModal();
}
