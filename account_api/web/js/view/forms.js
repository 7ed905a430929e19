/* Small forms of the account: fields, their sentences, copying, and who may do what. */

import { make, say } from "../lib/dom.js";
import { toast } from "./toasts.js";

/** What the people of a firm are there for, by the purpose in the name of a demo's key. */
export const PEOPLE = {
  trade: ["Trader", "buys and sells"],
  withdraw: ["Treasurer", "withdraws, and transfers within the firm"],
  approve: ["Approver", "decides about withdrawals and keys of others"],
  keys: ["Administrator", "addresses, API keys, withdrawals, trading"],
};
/** The purpose of the demo's keys that have a permission. */
const WHO = { trade: "trade", withdraw: "withdraw", approve: "approve", address: "keys", keys: "keys" };

/** The public keys of a demo that the page may offer. */
export const demoKeys = () => document.documentElement.dataset.demoKeys.split(" ").filter(Boolean);

/** Why a key may not do something, and who may; "" where it may. */
export function lacking(account, scope, what) {
  if (!account.signedIn || account.may(scope)) return "";
  const firm = account.home?.split(":")[0];
  const offered = demoKeys().includes(`demo-${firm}-${WHO[scope]}`);
  const who = offered ? `Sign in as ${firm}'s ${PEOPLE[WHO[scope]][0].toLowerCase()} to ${what}.`
    : `Sign in with a key that has it to ${what}.`;
  return `This key does not have the permission “${scope}”. ${who}`;
}

/** A labelled field; `note` is shown at the right of the label. */
export function field(title, input, note = null, kind = "field") {
  return make("label", { class: kind }, make("span", { textContent: title }), ...(note ? [" ", note] : []), input);
}

export const input = (properties) => make("input", { spellcheck: false, autocomplete: "off", ...properties });

/** Options of a select from texts, or from [value, text]. */
export function options(select, list) {
  const before = select.value;
  const pairs = list.map((one) => (Array.isArray(one) ? one : [one, one]));
  const key = JSON.stringify(pairs);
  if (select.dataset.list === key) return;
  select.dataset.list = key;
  select.replaceChildren(...pairs.map(([value, textContent]) => make("option", { value, textContent })));
  if (pairs.some(([value]) => value === before)) select.value = before;
}

/**
 * A form in a row. `onSend` is called with its elements; a Problem that it throws is said below,
 * and meanwhile the button waits.
 */
export function form(id, label, fields, button, onSend) {
  const hint = make("p", { class: "hint" });
  const error = make("p", { class: "error", role: "alert", id: `${id}-error` });
  const go = make("button", { type: "submit", class: "main", textContent: button });
  const element = make("form", { id, class: "row", noValidate: true, autocomplete: "off", "aria-label": label },
    ...fields, go, hint, error);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    say(error, "");
    go.disabled = true;
    try {
      await onSend(element.elements);
    } catch (problem) {
      say(error, problem.message);
    } finally {
      go.disabled = false;
    }
  });
  return { element, hint, error, go };
}

/** A button that copies a text. */
export function copyButton(text, what) {
  const button = make("button", { type: "button", class: "quiet", textContent: "Copy", "aria-label": `Copy ${what}` });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast(`Copied: ${what}.`, "good");
    } catch {
      toast("This browser does not let the page copy. Select the text and copy it.", "warn");
    }
  });
  return button;
}

/** Ask again under the same id where the answer was lost: it is done at most once. */
export async function twice(account, target, body) {
  try {
    return await account.rest("POST", target, body);
  } catch (problem) {
    if (problem.outcome !== "unknown") throw problem;
    return account.rest("POST", target, body);
  }
}
