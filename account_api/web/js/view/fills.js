/* The fills of the account, newest first. */

import { $, say } from "../lib/dom.js";
import { places, show } from "../lib/decimal.js";
import { sayAmount } from "../lib/amounts.js";
import { TIME, draw, keep, side, table, when } from "./table.js";

export function mountFills(market, account) {
  const view = table($("#panel-fills"), "Your fills, newest first", [
    [TIME], ["Instrument"], ["Side"], ["Quantity", "n"], ["Price", "n"], ["Value", "n lo"],
    ["Fee", "n lo"], ["Role", "lo"], ["Client order id", "lo id"],
  ]);
  const again = keep(account, view, "fills", "No fills yet.", ["fills"], () => {
    const { fills } = account;
    say($("#count-fills"), fills.length ? String(fills.length) : "");
    draw(view, fills, (fill) => `${fill.trade_id}:${fill.order_id}`, (row, fill) => fillRow(market, row, fill));
  });
  market.on("instruments", again);
}

/** A fill in a row of nine cells. */
export function fillRow(market, row, fill) {
  const [time, symbol, which, quantity, price, value, fee, role, id] = row.children;
  const instrument = market.instruments.get(fill.symbol);
  const digits = (of) => (instrument ? places(instrument[of]) : 0);
  when(time, fill.time);
  say(symbol, fill.symbol);
  side(which, fill.side);
  say(quantity, show(fill.quantity, digits("lot")));
  say(price, show(fill.price, digits("tick")));
  sayAmount(value, fill.notional, fill.symbol.split("-")[1]);
  sayAmount(fee, fill.fee, fill.fee_asset, { toward: "up" });
  say(role, fill.liquidity);
  role.title = `Trade ${fill.trade_id}`;
  say(id, fill.client_order_id);
  id.title = fill.client_order_id;
}
