// Elements without markup strings: what comes from outside is always text, never HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else if (name === "checked") element.checked = Boolean(value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** An HTML element: `on…` props are listeners, null and false ones are left out. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element, by the same rules. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** Put `children` in place of what `root` holds; focus and caret stay where they were, by `data-key`. */
export function put(root, ...children) {
  const active = document.activeElement;
  const key = active && root.contains(active) ? active.dataset.key : undefined;
  const caret = key && "selectionStart" in active ? [active.selectionStart, active.selectionEnd] : null;
  root.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  if (key === undefined) return;
  const again = root.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!again) return;
  again.focus({ preventScroll: true });
  if (caret && caret[0] !== null && again.setSelectionRange) again.setSelectionRange(...caret);
}

/** Say `text` to a screen reader. */
export function say(text) {
  document.getElementById("spoken").textContent = text;
}

const widths = new Map();

/**
 * A box that is drawn at its width, again whenever that changes. It begins at the width that the last box of its
 * `kind` had, so that a redrawn box is whole at once: the focus and the place scrolled to have something to return to.
 */
export function fitted(kind, draw) {
  let width = widths.get(kind) ?? 0;
  const host = h("div", { class: kind }, width ? draw(width) : null);
  const watch = new ResizeObserver(() => {
    const now = Math.floor(host.clientWidth);
    if (now && now !== width) {
      widths.set(kind, (width = now));
      put(host, draw(width));
    }
  });
  watch.observe(host);
  return host;
}

const ICONS = {
  move: "M3 8h9M8.5 4.5 12 8l-3.5 3.5",
  hold: "M4 6h8M4 10h8",
  abstain: "M5.6 6a2.4 2.4 0 1 1 3.6 2.1c-.8.5-1.2.9-1.2 1.7M8 12.2v.3",
  expired: "M8 2.8a5.2 5.2 0 1 0 .01 0M8 5v3.2l2 1.4",
  accept: "M3.2 8.6 6.6 12l6.2-7.4",
  modify: "M3.5 12.5l.6-2.6 6.4-6.4 2 2-6.4 6.4zM9 5l2 2",
  reject: "M4 4l8 8M12 4l-8 8",
  off: "M8 3v5M4.9 4.8a4.6 4.6 0 1 0 6.2 0",
  approved: "M8 2.2l4.8 1.8v3.6c0 3-2 5-4.8 6.2-2.8-1.2-4.8-3.2-4.8-6.2V4zM5.6 7.8 7.4 9.6l3-3.4",
  theme: "M8 2.8a5.2 5.2 0 1 0 .01 0M8 3v10M8 5.5l4-1M8 8.5h5M8 11l3.5-.5",
  none: "M7.2 8h1.6",
  finding: "M8 2.6 14 13H2zM8 6.5v3M8 11.2v.3",
  silent: "M3 3l10 10M5 11a4.5 4.5 0 0 1 .2-6.2M11 5a4.5 4.5 0 0 1 0 6",
  sound: "M3.2 8.6 6.6 12l6.2-7.4",
  widened: "M2.5 8h11M5 5.5 2.5 8 5 10.5M11 5.5 13.5 8 11 10.5",
  withheld: "M8 2.8a5.2 5.2 0 1 0 .01 0M4.4 11.6l7.2-7.2",
};

/** A small line drawing: state is never told by colour alone. */
export function icon(name) {
  return s("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: ICONS[name] ?? ICONS.none }));
}
