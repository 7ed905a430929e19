/* Small help with elements. Text is set as text, so nothing from the venue can become markup. */

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element with properties and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("data-") || name.startsWith("aria-") || name === "role") {
      element.setAttribute(name, value);
    } else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** Set text where it differs, so that an unchanged screen is not laid out again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Make the rows of a table body show the items: rows are kept by key, so that focus and
 * selection survive; `fill` writes an item into its row, `build` makes an empty row.
 */
export function rows(body, items, keyOf, build, fill) {
  const known = new Map([...body.children].map((row) => [row.dataset.key, row]));
  let place = body.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let row = known.get(key);
    known.delete(key);
    if (!row) {
      row = build(item);
      row.dataset.key = key;
    }
    fill(row, item);
    if (row === place) place = place.nextElementSibling;
    else body.insertBefore(row, place);
  }
  for (const row of known.values()) row.remove();
}

/** A promise of some time later. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export { clock, moment } from "./time.js";
