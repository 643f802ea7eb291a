// The page's frame: who is signed in, which line and view, language and theme, keys, and what went wrong.

import { PAGES, address, viewOf } from "./address.js";
import { ask, keep, key } from "./api.js";
import { cardKeys } from "./card.js";
import { openCard } from "./details.js";
import { h, icon, put, say } from "./dom.js";
import { healthView, loadHealth } from "./health.js";
import { openHelp, singleKeys } from "./help.js";
import { lineView } from "./line.js";
import { loadSavings, savingsView } from "./savings.js";
import { signIn } from "./signin.js";
import { alarm, changed, drawn, focusOn, lineNow, refresh, state } from "./store.js";
import { language, speak, t, told } from "./words.js";
import { countdown } from "./format.js";

const THEMES = ["auto", "light", "dark"];
const POLL_MS = 60_000;

function route() {
  const before = state.view;
  const wanted = viewOf(location.hash);
  state.view = { ...wanted, line: wanted.line || before.line };
  if (before.line !== state.view.line) Object.assign(state, { payload: null, quality: null, savings: null, shift: { ...state.shift, found: null } });
  if (key() !== null) load(before);
  changed();
}

async function load(before = {}) {
  try {
    if (!state.identity) state.identity = await ask("/v1/session");
    if (!state.payload) await refresh();
  } catch (error) {
    if (error.status !== 401) alarm(error, () => load(before), "cells");
    return;
  }
  const { page, cell } = state.view;
  if (cell) openCard(cell);
  if (page === "savings" && !state.savings) loadSavings();
  if ((page === "health" || state.measure === "health") && !state.quality) loadHealth();
}

function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

function dress(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("superheat.theme", name);
  changed();
}

function signOut() {
  keep(null);
  Object.assign(state, { identity: null, payload: null, quality: null, savings: null, details: null, explained: null, shift: { budgets: {}, found: null, busy: false }, lines: [] });
  changed();
}

const link = (page) =>
  h("a", { href: address(state.view.line, page), "aria-current": state.view.page === page ? "page" : null, "data-key": `nav-${page}` }, t(`nav.${page}`));

function lineChoice() {
  if (state.lines.length < 2) return h("b", { class: "line-name" }, state.view.line);
  const pick = (event) => (location.hash = address(event.target.value, state.view.page));
  return h(
    "select",
    { "aria-label": t("nav.which_line"), onchange: pick, "data-key": "line-choice" },
    state.lines.map((line) => h("option", { value: line, selected: line === state.view.line }, line)),
  );
}

function serviceState(payload) {
  const bad = payload.state === "fault" || !payload.model?.ready;
  return h(
    "span",
    { class: `service ${bad ? "bad" : ""}`, title: payload.model ? `${payload.model.bundle_digest ?? ""}` : "" },
    icon(bad ? "finding" : payload.state === "approved" ? "approved" : payload.state === "off" ? "off" : "sound"),
    t(`service.${payload.state}`),
    payload.model && h("small", {}, ` ${payload.model.name} ${payload.model.version}${payload.model.ready ? "" : ` · ${t("service.not_ready")}`}`),
  );
}

function banner() {
  const payload = state.payload;
  const inside = key() !== null && state.identity;
  const other = language() === "en" ? "zh" : "en";
  return [
    h("span", { class: "brand" }, "Superheat"),
    payload?.simulated && h("strong", { class: "simulated", title: t("simulated.long") }, t("simulated.badge")),
    inside && lineChoice(),
    inside && h("nav", { "aria-label": t("nav.label") }, PAGES.map(link)),
    h("span", { class: "space" }),
    inside && payload && h("span", { class: "when" }, t("nav.date"), " ", h("b", {}, payload.date ?? "–")),
    inside && payload && serviceState(payload),
    inside && h("span", { class: "who", title: t("nav.who") }, state.identity.subject, state.identity.role && h("small", {}, ` ${t(`role.${state.identity.role}`)}`)),
    h("button", { class: "quiet", type: "button", "data-key": "language", lang: other === "zh" ? "zh-Hans" : "en", onclick: () => (speak(other), changed()) }, other === "zh" ? "中文" : "English"),
    h("button", { class: "quiet", type: "button", "data-key": "theme", "aria-label": `${t("theme.label")}: ${t(`theme.${theme()}`)}`, title: t("theme.label"), onclick: () => dress(THEMES[(THEMES.indexOf(theme()) + 1) % 3]) }, icon("theme"), t(`theme.${theme()}`)),
    h("button", { class: "quiet", type: "button", "data-key": "help", "aria-label": t("help.open"), title: t("help.open"), onclick: openHelp }, "?"),
    inside && h("button", { class: "quiet", type: "button", "data-key": "sign-out", onclick: signOut }, t("nav.sign_out")),
  ];
}

function alerts() {
  return state.alerts.map((entry) => {
    const gone = () => {
      state.alerts = state.alerts.filter((other) => other !== entry);
      changed();
    };
    return h(
      "div",
      { class: "alert", role: "alert" },
      icon("finding"),
      h("span", {}, entry.about && `${entry.about}: `, told(entry)),
      entry.code && h("small", {}, `${t("error.code")} `, h("code", {}, entry.code)),
      entry.requestId && h("small", {}, "request_id ", h("code", {}, entry.requestId)),
      h("span", { class: "space" }),
      entry.again && h("button", { type: "button", onclick: () => (gone(), entry.again()) }, t("error.again")),
      h("button", { type: "button", "aria-label": t("error.dismiss"), onclick: gone }, "×"),
    );
  });
}

function draw() {
  document.documentElement.lang = language() === "zh" ? "zh-Hans" : "en";
  document.title = [state.view.cell, state.view.line, "Superheat"].filter(Boolean).join(" · ");
  put(document.getElementById("top"), banner());
  put(document.getElementById("alerts"), alerts());
  const main = document.getElementById("main");
  if (key() === null) put(main, signIn(() => load()));
  else if (!state.payload) put(main, h("p", { class: "waiting" }, state.alerts.length ? t("waiting.failed") : t("waiting.cells")));
  else if (state.view.page === "savings") put(main, savingsView());
  else if (state.view.page === "health") put(main, healthView());
  else lineView(main);
}

function onKey(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) && event.target.type !== "radio";
  if (document.getElementById("help").open || key() === null) return;
  if (event.key === "Escape" && state.view.cell) {
    const left = state.view.cell;
    location.hash = address(state.view.line);
    focusOn(`tile-${left}`);
    return;
  }
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !singleKeys()) return;
  const page = { 1: "line", 2: "savings", 3: "health" }[event.key];
  if (page) location.hash = address(state.view.line, page);
  else if (event.key === "?") openHelp();
  else if (event.key === "/") document.querySelector("[data-key=filter-text]")?.focus();
  else if (!cardKeys(event.key)) return;
  event.preventDefault();
}

async function poll() {
  if (document.hidden || key() === null || !state.payload || state.run?.busy) return;
  try {
    await refresh();
  } catch (error) {
    alarm(error, null, "cells");
  }
}

function tick() {
  for (const element of document.querySelectorAll("[data-until]")) element.textContent = countdown(element.dataset.until, lineNow());
}

document.documentElement.dataset.theme = localStorage.getItem("superheat.theme") ?? "auto";
document.addEventListener("superheat:signed-out", () => {
  keep(null);
  state.identity = null;
  say(t("sign.needed"));
  changed();
});
addEventListener("hashchange", route);
addEventListener("keydown", onKey);
setInterval(poll, POLL_MS);
setInterval(tick, 15_000);
drawn(draw);
route();
