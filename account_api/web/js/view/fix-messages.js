/* The messages of the firm's FIX sessions, as the venue read and sent them, decoded. */

import { $, make, say } from "../lib/dom.js";
import { clock, momentAndZone } from "../lib/time.js";
import { copyButton, field, input, options } from "./forms.js";
import { toast } from "./toasts.js";

const SHOWN_MAX = 200;
const FOLLOW_MS = 2_000;
/** Fields that every message has and that say little about it. */
const FRAME = new Set([8, 9, 10, 35, 49, 52, 56]);
const WAYS = { in: "client → venue", out: "venue → client" };

export function mountFixMessages(account) {
  const panel = $("#panel-fix");
  const session = make("select", { name: "session" });
  const way = make("select", { name: "direction" });
  options(way, [["", "both ways"], ["in", "client → venue"], ["out", "venue → client"]]);
  const type = input({ name: "type", maxLength: 40, placeholder: "D or NewOrderSingle" });
  const order = input({ name: "order", maxLength: 64, placeholder: "ClOrdID or OrderID" });
  const text = input({ name: "text", maxLength: 100, placeholder: "anywhere in the message" });
  const follow = make("input", { type: "checkbox", name: "follow" });
  const go = make("button", { type: "submit", class: "main", textContent: "Show" });
  const copy = make("button", { type: "button", class: "quiet", textContent: "Copy as JSON" });
  const error = make("p", { class: "error", role: "alert" });
  const ask = make("form", { id: "fix-messages", class: "row", noValidate: true, autocomplete: "off", "aria-label": "FIX messages" },
    field("Session", session), field("Direction", way), field("Message type", type), field("Order", order), field("Text", text),
    make("label", { class: "check" }, follow, make("span", { textContent: "Follow" })), go, copy, error);
  const list = make("div", { class: "messages" });
  const empty = make("p", { class: "empty" });
  panel.replaceChildren(ask, list, empty);

  let cursor = "";
  let kept = [];
  let busy = false;

  const visible = () => !panel.hidden && !document.hidden;

  function draw() {
    const names = account.sessions.map((one) => one.session).filter((name) => name.startsWith("fix:"));
    options(session, names.map((name) => [name, name.slice(4)]));
    ask.hidden = !names.length;
    copy.disabled = !kept.length;
    empty.hidden = kept.length > 0;
    say(empty, !account.signedIn ? "Sign in to see the messages of your FIX sessions."
      : names.length ? "No messages that fit are kept." : "No FIX session of yours is known here.");
  }

  function clear() {
    kept = [];
    cursor = "";
    list.replaceChildren();
    draw();
  }

  async function load(more) {
    const name = session.value;
    if (busy || !account.signedIn || !name) return;
    busy = true;
    const query = Object.fromEntries(Object.entries({
      type: type.value.trim(), direction: way.value, client_order_id: order.value.trim(), text: text.value,
      after: more ? cursor : "", limit: String(SHOWN_MAX),
    }).filter(([, value]) => value));
    const { signer } = account;
    try {
      const found = await account.rest("GET", `/v1/sessions/${name}/messages?${new URLSearchParams(query)}`);
      if (signer !== account.signer || name !== session.value) return;
      if (!more) clear();
      cursor = found.cursor;
      kept = [...kept, ...found.messages].slice(-SHOWN_MAX);
      // The newest stands first, where the eye is.
      list.prepend(...found.messages.map(entry).reverse());
      while (list.children.length > SHOWN_MAX) list.lastChild.remove();
      say(error, "");
    } catch (problem) {
      say(error, problem.message);
    } finally {
      busy = false;
      draw();
    }
  }

  ask.addEventListener("submit", (event) => {
    event.preventDefault();
    load(false);
  });
  for (const one of [session, way]) one.addEventListener("change", () => load(false));
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(JSON.stringify(kept, null, 1));
      toast(`Copied: ${kept.length} messages.`, "good");
    } catch {
      toast("This browser does not let the page copy. Ask the API for the messages.", "warn");
    }
  });
  setInterval(() => {
    if (follow.checked && cursor && visible()) load(true);
  }, FOLLOW_MS);
  new MutationObserver(() => {
    if (visible() && !cursor) load(false);
  }).observe(panel, { attributes: true, attributeFilter: ["hidden"] });
  account.on("signed", clear);
  account.on("sessions", () => {
    draw();
    if (visible() && !cursor) load(false);
  });
  draw();
}

function entry(one) {
  const shown = one.fields.filter((each) => !FRAME.has(each.tag));
  const head = make("summary", {},
    make("span", { class: "code", textContent: one.time ? clock(one.time) : "", title: one.time ? momentAndZone(one.time) : "" }),
    ` ${WAYS[one.direction]}  `, make("b", { textContent: `${one.name || "?"}(${one.type})` }),
    ` ${brief(shown)}`);
  const body = make("tbody", {}, ...shown.map((each) => make("tr", {},
    make("td", { class: "id", textContent: `${each.name || "?"}(${each.tag})` }),
    make("td", { class: "id", textContent: each.value }),
    make("td", { textContent: each.meaning ?? "" }))));
  return make("details", { class: "message", "data-way": one.direction }, head,
    make("table", { class: "list" }, make("caption", { class: "unseen", textContent: "Fields" }), body),
    make("p", { class: "code", textContent: one.raw }), copyButton(one.raw, "the message as it was"));
}

/** What tells messages of one kind apart, in a few words. */
function brief(fields) {
  const of = (tag) => fields.find((each) => each.tag === tag);
  return [11, 150, 54, 38, 55, 44, 58]
    .map((tag) => of(tag)).filter(Boolean)
    .map((each) => each.meaning?.toLowerCase().replaceAll("_", " ") || each.value).join(" ");
}
