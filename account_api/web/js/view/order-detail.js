/* All that the venue says of one order, and its fills. */

import { make } from "../lib/dom.js";
import { amount } from "../lib/amounts.js";
import { isZero, places, show, showAverage } from "../lib/decimal.js";
import { momentAndZone } from "../lib/time.js";
import { dialog, facts } from "./dialog.js";
import { fillRow } from "./fill-row.js";
import { draw, table, TIME } from "./table.js";
import { STP, TYPES, VERBS, standing } from "./words.js";

export async function showOrder(market, account, id) {
  const body = make("div", {}, make("p", { class: "empty", textContent: "Asking the venue …" }));
  const close = make("form", { method: "dialog" }, make("button", { class: "main", textContent: "Close" }));
  dialog("order-detail", `Order ${id}`, body, close);
  try {
    const { order, fills } = await account.look(id);
    body.replaceChildren(terms(market, order), ...executions(market, fills));
  } catch (problem) {
    body.replaceChildren(make("p", { class: "error", textContent: problem.message }));
  }
}

function terms(market, order) {
  const instrument = market.instruments.get(order.symbol);
  const digits = places(instrument.tick);
  const lots = (number) => (number ? show(number, places(instrument.lot)) : null);
  const time = (instant) => (instant ? momentAndZone(instant) : null);
  const { quote } = instrument;
  return facts([
    ["Status", standing(order), order.cancel_reason ?? ""],
    ["Order", `${VERBS[order.side]} ${lots(order.quantity)} ${order.symbol}`],
    ["Type", TYPES[order.type]],
    ["Price", order.price ? `${show(order.price, digits)} ${quote}` : "market"],
    ["Stop price", order.stop_price ? `${show(order.stop_price, digits)} ${quote}` : null],
    ["Amount", order.cash_quantity ? `${amount(order.cash_quantity, quote)} ${quote}` : null],
    ["Time in force", order.time_in_force.toUpperCase()],
    ["Ends at", time(order.expire_at), order.expire_at],
    ["Shown at a time", lots(order.display_quantity)],
    ["At least", lots(order.min_quantity)],
    ["Post-only", order.post_only ? "yes" : null],
    ["Self-trade prevention", STP[order.self_trade_prevention] ?? order.self_trade_prevention],
    ["Filled", isZero(order.filled_quantity) ? lots(order.filled_quantity)
      : `${lots(order.filled_quantity)} at ${showAverage(order.average_price, digits)} ${quote}`, order.average_price ?? ""],
    ["Open", lots(order.leaves_quantity)],
    ["Fees", `${amount(order.fees, order.fee_asset, "up")} ${order.fee_asset}`, order.fees],
    ["Held", isZero(order.held) ? null : `${amount(order.held, order.held_asset, "up")} ${order.held_asset}`, order.held],
    ["Entered", `${order.manual ? "by hand" : "automated"}, ${order.entered_by}`],
    ["Strategy", order.strategy],
    ["Created", time(order.created_at), order.created_at],
    ["Changed", time(order.updated_at), order.updated_at],
    ["Client order id", order.client_order_id],
    ["First client order id", order.first_client_order_id === order.client_order_id ? null : order.first_client_order_id],
  ]);
}

function executions(market, fills) {
  const panel = make("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Fills of this order" });
  const view = table(panel, "Fills of this order", [
    [TIME], ["Instrument", "away"], ["Side", "away"], ["Quantity", "n"], ["Price", "n"], ["Value", "n"],
    ["Fee", "n"], ["Role"], ["Client order id", "away"],
  ], "No fills.");
  draw(view, fills, (fill) => fill.trade_id, (row, fill) => fillRow(market, row, fill));
  return [make("h3", { textContent: "Fills" }), panel];
}
