/* The newest public trades. */

import { $, make, rows, say } from "../lib/dom.js";
import { places, show } from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";
import { zoneName } from "../lib/time.js";
import { when } from "./table.js";

export function mountTrades(market) {
  if (document.documentElement.dataset.environment === "demo") {
    say($("#trades-empty"), "No trade yet. Bots make a market when the venue is started with --market.");
  }
  const draw = oncePerFrame(() => {
    const { instrument } = market;
    if (!instrument) return;
    const digits = places(instrument.tick);
    const lots = places(instrument.lot);
    say($("#trades-zone"), zoneName());
    $("#trades-empty").hidden = market.trades.length > 0;
    rows($("#trades"), market.trades, (trade) => trade.trade_id, build, (row, trade) => {
      const [price, quantity, time] = row.children;
      row.className = trade.side;
      row.title = trade.side === "buy" ? "A buyer took it" : "A seller took it";
      say(price, `${trade.side === "buy" ? "▲" : "▼"} ${show(trade.price, digits)}`);
      say(quantity, show(trade.quantity, lots));
      when(time, trade.time);
    });
  });
  for (const type of ["trades", "selected"]) market.on(type, draw);
  addEventListener("zonechange", draw);
}

function build() {
  return make("tr", {}, make("td"), make("td"), make("td"));
}
