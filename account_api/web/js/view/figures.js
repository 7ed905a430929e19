/* What goes on in the venue: rates and latencies of its engine, and of this page's own way. */

import { $, make, say } from "../lib/dom.js";
import { oncePerFrame } from "../lib/events.js";

const NAMES = [
  ["transactions", "Messages to the engine"], ["orders", "Orders"], ["trades", "Trades"],
  ["open", "Open orders"], ["commit", "Commit to disk"], ["trip", "Round trip from here"],
  ["received", "Received here"],
];

const perSecond = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)}/s`;
const ms = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;

export function mountFigures(stream, figures) {
  const cells = new Map(NAMES.map(([key]) => [key, make("dd", { id: `venue-${key}`, textContent: "–" })]));
  $("#venue-figures").replaceChildren(...NAMES.map(([key, title]) =>
    make("div", {}, make("dt", { textContent: title }), cells.get(key))));

  const draw = oncePerFrame(() => {
    const { now } = figures;
    const { perSecond: received, roundTrip } = stream.figures;
    say(cells.get("transactions"), now ? perSecond(now.transactions) : "–");
    say(cells.get("orders"), now ? perSecond(now.orders) : "–");
    say(cells.get("trades"), now ? perSecond(now.trades) : "–");
    say(cells.get("open"), now ? String(now.openOrders) : "–");
    const late = now?.commit99Ms;
    say(cells.get("commit"), now?.commitMs == null ? "–"
      : `${ms(now.commitMs)}, 99 % ${late === Infinity ? "longer than all bounds" : `within ${ms(late)}`}`);
    say(cells.get("trip"), roundTrip === null ? "–" : ms(roundTrip));
    say(cells.get("received"), perSecond(received));
    $("#venue-figures").title = now
      ? `Of the last ${Math.round(now.seconds)} s; engine sequence ${now.seq}` : "";
    for (const key of ["transactions", "orders", "trades", "open", "commit"]) {
      cells.get(key).parentElement.hidden = !figures.offered;
    }
  });
  figures.on("figures", draw);
  for (const type of ["open", "closed", "figures"]) stream.on(type, draw);
  // Nobody is asked for what nobody looks at.
  const seen = new IntersectionObserver(([entry]) => { figures.wanted = entry.isIntersecting; });
  seen.observe($("#venue-figures"));
  draw();
}
