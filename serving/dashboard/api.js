// The service's answers: JSON in and out, refusals as errors that keep their code and request_id.

import { t } from "./words.js";

const KEPT = "superheat.key";

/** What the service refused, or that it could not be reached (status 0). */
export class Refused extends Error {
  constructor(status, body, requestId) {
    super(body?.error || t("error.status", { status }));
    this.text = this.message;
    this.text_zh = body?.error_zh;
    this.status = status;
    this.code = body?.code ?? "";
    this.requestId = body?.request_id ?? requestId ?? "";
  }
}

export const key = () => sessionStorage.getItem(KEPT);

/** Keep the key for this tab only; null forgets it. An empty one asks without a key. */
export function keep(value) {
  if (value === null) sessionStorage.removeItem(KEPT);
  else sessionStorage.setItem(KEPT, value);
}

async function sent(path, { method = "GET", body, signal, accept = "application/json" } = {}) {
  const headers = { accept };
  if (key()) headers.authorization = `Bearer ${key()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, signal, cache: "no-store", credentials: "omit", body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, { error: t("error.unreachable"), code: "unreachable" });
  }
  if (!answer.ok) {
    const refusal = await answer.json().catch(() => null);
    if (answer.status === 401) document.dispatchEvent(new CustomEvent("superheat:signed-out"));
    throw new Refused(answer.status, refusal, answer.headers.get("x-request-id"));
  }
  return answer;
}

/** One request, one JSON value. */
export async function ask(path, options) {
  const answer = await sent(path, options);
  try {
    return await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(answer.status, { error: t("error.unreadable"), code: "unreadable" }, answer.headers.get("x-request-id"));
  }
}

/** Post, and yield each line of an NDJSON answer as it comes; a plain JSON answer is yielded whole. */
export async function* stream(path, body, signal) {
  const answer = await sent(path, { method: "POST", body, signal, accept: "application/x-ndjson" });
  const requestId = answer.headers.get("x-request-id");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, { error: t("error.broken"), code: "broken_stream" }, requestId);
    }
    rest += part.value ?? "";
    const lines = rest.split("\n");
    rest = part.done ? "" : lines.pop();
    for (const line of lines.filter((text) => text.trim())) yield parsed(line, requestId);
    if (part.done) return;
  }
}

function parsed(line, requestId) {
  let value;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Refused(0, { error: t("error.unreadable"), code: "unreadable" }, requestId);
  }
  if (value.error) throw new Refused(200, value, requestId);
  return value;
}

export const query = (path, given) => {
  const used = Object.entries(given).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return used.length ? `${path}?${new URLSearchParams(used)}` : path;
};
