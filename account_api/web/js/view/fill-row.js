/* One fill in a row, in the list of all and in that of its order. */

import { sayAmount } from "../lib/amounts.js";
import { places, show } from "../lib/decimal.js";
import { say } from "../lib/dom.js";
import { side, when } from "./table.js";

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
