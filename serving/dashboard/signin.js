// Signing in: a key of the service, kept for this tab only.

import { ask, keep } from "./api.js";
import { h } from "./dom.js";
import { changed, state } from "./store.js";
import { t, told } from "./words.js";

let typed = "";
let refused = null;
let busy = false;

/** The form; `entered` is called once the service knows the key. */
export function signIn(entered) {
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    keep(typed.trim());
    try {
      state.identity = await ask("/v1/session");
      [typed, refused] = ["", null];
      state.alerts = [];
      entered();
    } catch (error) {
      keep(null);
      refused = error;
    }
    busy = false;
    changed();
  };
  return h(
    "form",
    { class: "sign-in panel", onsubmit: submit, autocomplete: "off" },
    h("h1", {}, t("sign.title")),
    h("p", {}, t("sign.what")),
    h("label", { for: "key" }, t("sign.key")),
    h("input", { id: "key", type: "password", "data-key": "key", value: typed, autocomplete: "off", spellcheck: "false", "aria-describedby": "key-note", oninput: (event) => (typed = event.target.value) }),
    h("small", { id: "key-note" }, t("sign.kept")),
    refused &&
      h("p", { class: "refused", role: "alert" }, told(refused), " ", refused.requestId && h("small", {}, "request_id ", h("code", {}, refused.requestId))),
    h("button", { class: "primary", type: "submit", "data-key": "enter" }, t("sign.enter")),
  );
}
