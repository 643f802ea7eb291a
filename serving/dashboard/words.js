// The page's two languages. A word that is missing shows itself, and a test looks for it.

import en from "./words-en.js";
import zh from "./words-zh.js";
import { OUTCOMES, SIGNALS } from "./dictionary.js";

const ALL = { en, zh };
const KEPT = "superheat.language";
let current = kept();

function kept() {
  const found = localStorage.getItem(KEPT);
  if (found in ALL) return found;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const language = () => current;

/** Change the language, for good. */
export function speak(name) {
  current = name;
  localStorage.setItem(KEPT, name);
  document.documentElement.lang = name === "zh" ? "zh-Hans" : "en";
}

/** The text of `key`, its {braces} filled from `given`. */
export function t(key, given = {}) {
  const text = ALL[current][key];
  if (text === undefined) return `⟦${key}⟧`;
  return text.replace(/\{(\w+)\}/g, (_, name) => (name in given ? given[name] : `⟦${name}⟧`));
}

export const has = (key) => key in ALL[current];

/** Whichever of the two texts of an API's object is in the reader's language. */
export const told = (from) => (current === "zh" ? from.text_zh || from.text : from.text) ?? "";

const meaning = (entry) => (current === "zh" ? entry.zh : entry.en);

/** What a signal or outcome is called; its own name in words where it is none of ours. */
export function named(name) {
  if (has(`name.${name}`)) return t(`name.${name}`);
  const found = OUTCOMES[name] ?? SIGNALS[name];
  return found ? meaning(found) : name.replaceAll("_", " ");
}

const WINDOWS = /^(.+?)_(last|now|recent|trend|age_d|days_since_move|days_since|last_move|(?:mean|std|slope|dev)_\d+d|\d+d)$/;

/** What a feature is called: its quantity, and over which days. */
export function featured(name) {
  const line = name.startsWith("line_") && !(name in SIGNALS) && !name.startsWith("line_current");
  const found = WINDOWS.exec(line ? name.slice(5) : name);
  if (!found) return named(name);
  const [, base, part] = found;
  const parts = /^(?:(mean|std|slope|dev)_)?(\d+)d$/.exec(part);
  const over = parts ? t(`window.${parts[1] ?? "over"}`, { days: parts[2] }) : t(`window.${part}`);
  return t(line ? "window.line_join" : "window.join", { name: named(base), window: over });
}

const SIDES = ["low", "high", "hard_low", "hard_high", "max_daily_step", "bounds", "above_electrolysis", "not_identified"];

/** What a binding constraint is called. */
export function constrained(name) {
  if (has(`constraint.${name}`)) return t(`constraint.${name}`);
  const at = name.lastIndexOf(".");
  const [subject, side] = at < 0 ? [name, ""] : [name.slice(0, at).replace(/^floor\./, ""), name.slice(at + 1)];
  const known = subject in OUTCOMES || subject in SIGNALS;
  if (!known || !SIDES.includes(side)) return name.replaceAll("_", " ");
  return t("constraint.join", { name: has(`lever.${subject}`) ? t(`lever.${subject}`) : named(subject), side: t(`side.${side}`) });
}

/** What a reason is called in a word or two. */
export const reasonWord = (reason) => (has(`reason.${reason.code}`) ? t(`reason.${reason.code}`) : told(reason));

const OURS = /\b[a-z0-9]+(?:_[a-z0-9]+)+\b/g;

/** A reason's sentence, with our names of features and the page's signs of units. */
export function reasoned(reason) {
  const text = told(reason)
    .replace(OURS, featured)
    .replaceAll("degC", "°C")
    .replace(/(?<=^|[\s：，])-(?=\d)/g, "−");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
