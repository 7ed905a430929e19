/* Lists of the account: a table in a panel, its cells, and what is drawn again when. */

import { $, make, rows, say } from "../lib/dom.js";
import { oncePerFrame } from "../lib/events.js";
import { clock, momentAndZone, zoneName } from "../lib/time.js";

/** What stands above a column of instants: its cells change with the zone. */
export const TIME = "Time";

/** A table with a caption, in a panel, below what is `above` it. `columns` are [title, class]. */
export function table(panel, caption, columns, empty, ...above) {
  const head = make("tr", {}, ...columns.map(([title, kind = ""]) =>
    make("th", { scope: "col", class: kind }, title || make("span", { class: "unseen", textContent: "Actions" }))));
  const body = make("tbody");
  panel.replaceChildren(
    ...above,
    make("table", { class: "list" }, make("caption", { class: "unseen", textContent: caption }),
      make("thead", {}, head), body),
    make("p", { class: "empty", textContent: empty }),
  );
  const zone = [...head.children].find((cell) => cell.textContent === TIME);
  const build = () => make("tr", {}, ...columns.map(([title, kind = ""]) =>
    make("td", { class: kind, "data-title": title })));
  return { panel, body, build, zone };
}

export function draw({ panel, body, build, zone }, items, keyOf, fill) {
  if (zone) say(zone, `${TIME} (${zoneName()})`);
  rows(body, items, keyOf, build, fill);
  $("table", panel).hidden = items.length === 0;
  $(".empty", panel).hidden = items.length > 0;
}

/** Buy or sell. */
export function side(cell, which) {
  say(cell, which === "buy" ? "Buy" : "Sell");
  cell.dataset.side = which;
}

/** An instant; its title says all of it. */
export function when(cell, instant) {
  say(cell, clock(instant));
  // On a narrow screen there are no heads: the name beside the figure says the zone.
  if (cell.dataset.title) cell.dataset.title = `${TIME}, ${zoneName()}`;
  cell.title = `${momentAndZone(instant)} (${instant})`;
}

/** A button in a row: `data` tells the listener of its table what it is about. */
export function rowButton(text, label, data, kind = "quiet") {
  return make("button", { type: "button", class: kind, textContent: text, "aria-label": label, ...data });
}

/**
 * Draw a panel now and whenever one of the events of the account happens, or the zone changes;
 * `none` says that it is empty, `name` what one has to sign in for.
 */
export function keep(account, { panel }, name, none, events, paint) {
  const again = oncePerFrame(() => {
    say($(".empty", panel), !account.signedIn ? `Sign in to see your ${name}.`
      : account.name ? (typeof none === "function" ? none() : none) : "An operator has none.");
    paint();
  });
  for (const event of ["signed", ...events]) account.on(event, again);
  addEventListener("zonechange", again);
  again();
  return again;
}
