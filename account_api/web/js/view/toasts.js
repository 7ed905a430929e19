/* What happened, in a corner, for some seconds; read out by screen readers. */

import { $, make } from "../lib/dom.js";

const SHOWN_MS = 7_000;
/** What went otherwise than was asked for stays longer. */
const SHOWN_LONG_MS = 20_000;
const KEPT = 3;

/** Say something; `kind` is good, warn, bad or plain; `action` is {label, act}. */
export function toast(text, kind = "plain", action = null) {
  const box = $("#toasts");
  const element = make("div", { class: `toast ${kind}` }, make("p", { textContent: text }));
  if (action) {
    const button = make("button", { type: "button", class: "quiet", textContent: action.label });
    button.addEventListener("click", () => {
      element.remove();
      action.act();
    });
    element.append(button);
  }
  const close = make("button", { type: "button", class: "quiet", textContent: "×", "aria-label": "Close" });
  close.addEventListener("click", () => element.remove());
  element.append(close);
  box.append(element);
  while (box.children.length > KEPT) box.firstElementChild.remove();
  setTimeout(() => element.remove(), ["warn", "bad"].includes(kind) ? SHOWN_LONG_MS : SHOWN_MS);
}
