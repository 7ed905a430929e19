/* Dialogs that are made when they are first asked for. */

import { make } from "../lib/dom.js";

/** An open dialog with a title; it is gone when it is closed. `content` follows the title. */
export function dialog(id, title, ...content) {
  document.getElementById(id)?.remove();
  const heading = make("h2", { id: `${id}-title`, textContent: title });
  const element = make("dialog", { id, class: "wide", "aria-labelledby": heading.id }, heading, ...content);
  element.addEventListener("close", () => element.remove());
  document.body.append(element);
  element.showModal();
  return element;
}

/** Names and values in two columns; a value that is null is left out. */
export function facts(list) {
  return make("dl", { class: "facts" }, ...list.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value, title = ""]) => make("div", {},
      make("dt", { textContent: name }), make("dd", { textContent: value, title }))));
}
