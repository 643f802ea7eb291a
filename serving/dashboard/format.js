// Numbers, units and times as the page writes them: a fixed number of digits for each unit, a real minus sign.

import { t } from "./words.js";

const DIGITS = { V: 3, mV: 1, degC: 1, "kWh/t": 0, "kg/t": 1, "kg/d": 0, kg: 0, mm: 0, "wt%": 2, fraction: 2, kA: 1, d: 0, kWh: 0, t: 1, min: 0, "1/d": 0 };
const SHOWN = { degC: "°C", fraction: "%", "1/d": "d⁻¹" };
const NOTHING = "–";

/** A number with `digits` decimals and thin thousands; a dash where there is none. */
export function number(value, digits = 0, signed = false) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING;
  const written = Math.abs(value).toFixed(digits);
  const [whole, part] = written.split(".");
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole;
  const zero = Number(written) === 0;
  const sign = value < 0 && !zero ? "−" : signed && !zero ? "+" : "";
  return sign + grouped + (part ? `.${part}` : "");
}

export const unit = (name) => SHOWN[name] ?? name ?? "";
const scale = (name) => (name === "fraction" ? 100 : 1);

/** Decimals of a quantity in `name`, unless `most` says otherwise. */
export const digits = (name) => DIGITS[name] ?? 2;

/** A quantity without its unit. */
export const amount = (value, name, signed = false) =>
  number(value === null || value === undefined ? value : value * scale(name), digits(name), signed);

/** A quantity with its unit. */
export function quantity(value, name, signed = false) {
  const text = amount(value, name, signed);
  return text === NOTHING ? text : `${text} ${unit(name)}`;
}

/** A difference of a lever, in the unit that people speak of it: millivolts for a voltage. */
export function difference(value, name) {
  if (name === "V") return `${number(value * 1000, 0, true)} mV`;
  return quantity(value, name, true);
}

/** An estimate: mean with its bounds. */
export function interval(estimate, places, signed = true) {
  if (!estimate) return NOTHING;
  const [low, high] = [number(estimate.lower, places, signed), number(estimate.upper, places, signed)];
  return `${number(estimate.mean, places, signed)} (${low} … ${high})`;
}

/** How long until `moment` (ISO): "5 h 12 min"; what is past says so. */
export function countdown(moment, now) {
  const minutes = Math.floor((Date.parse(moment) - now) / 60000);
  if (!Number.isFinite(minutes)) return NOTHING;
  if (minutes < 0) return t("time.over");
  if (minutes < 60) return t("time.minutes", { m: minutes });
  if (minutes < 48 * 60) return t("time.hours", { h: Math.floor(minutes / 60), m: minutes % 60 });
  return t("time.days", { d: Math.floor(minutes / 1440), h: Math.floor((minutes % 1440) / 60) });
}

/** A moment in the reader's own zone, to the minute. */
export function moment(iso) {
  const at = new Date(iso);
  if (!iso || Number.isNaN(at.getTime())) return NOTHING;
  const two = (part) => String(part).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** The date `days` after ISO date `day`. */
export function dayAfter(day, days) {
  const at = new Date(`${day}T00:00:00Z`);
  if (Number.isNaN(at.getTime())) return "";
  at.setUTCDate(at.getUTCDate() + days);
  return at.toISOString().slice(0, 10);
}

/** Round ends and steps of an axis over `low`..`high` with about `count` ticks. */
export function ticks(low, high, count = 4) {
  if (!(high > low)) [low, high] = [low - Math.max(1e-3, Math.abs(low) * 0.001), high + Math.max(1e-3, Math.abs(high) * 0.001)];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((found) => found >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) found.push(i * step);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9) + (step / power === 2.5 ? 1 : 0));
  return { values: found, places, step };
}
