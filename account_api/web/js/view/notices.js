/* What happens to orders that were entered by hand while nobody asks: a fill of one that waited, a
   stop that is triggered, an end that nobody requested. Orders of programs are not told of. */

import { places, show } from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";
import { isOpen } from "../model/orders.js";
import { toast } from "./toasts.js";
import { VERBS, standing } from "./words.js";

/** Ends that somebody has asked for, or that the answer to the order has told already. */
const EXPECTED = new Set(["requested", "mass_cancel", "ioc_remainder", "fok_unfillable", "market_remainder"]);

export function mountNotices(market, account, showOrder) {
  /** Open orders that were entered by hand, as they were last seen. */
  let known = new Map();
  const look = (order) => ({ label: "Show order", act: () => showOrder(order.order_id) });
  const name = (order) => {
    const [base] = order.symbol.split("-");
    const digits = market.instruments.get(order.symbol) ? places(market.instruments.get(order.symbol).tick) : 0;
    const at = order.stop_price ? `, stop ${show(order.stop_price, digits)}` : order.price ? ` at ${show(order.price, digits)}` : "";
    return `${VERBS[order.side]} ${show(order.quantity)} ${base}${at}`;
  };

  account.on("signed", () => {
    known = new Map();
  });
  account.on("orders", oncePerFrame(() => {
    for (const order of account.orders.list()) {
      const before = known.get(order.key);
      if (!order.manual || (!before && !isOpen(order))) continue;
      if (isOpen(order)) known.set(order.key, order);
      else known.delete(order.key);
      const { status, cancel_reason: reason } = order;
      if (before?.stop_price && !before.triggered && order.triggered && isOpen(order)) {
        toast(`${name(order)}: the stop is triggered.`, "plain", look(order));
      } else if (!isOpen(order) && status !== "filled" && !EXPECTED.has(reason)) {
        toast(`${name(order)}: ${standing(order)}.`, "warn", look(order));
      }
    }
  }));
  account.on("fills", (fill) => {
    const order = fill && (account.orders.get(fill.order_id) ?? known.get(fill.order_id));
    // What trades on arrival is told by the answer to the order.
    if (!order?.manual || (fill.liquidity !== "maker" && !order.stop_price)) return;
    const [base, quote] = fill.symbol.split("-");
    const instrument = market.instruments.get(fill.symbol);
    const done = fill.side === "buy" ? "Bought" : "Sold";
    const left = fill.leaves_quantity && fill.leaves_quantity !== "0" ? `; ${show(fill.leaves_quantity)} ${base} left` : "";
    toast(`${done} ${show(fill.quantity)} ${base} at ${show(fill.price, instrument ? places(instrument.tick) : 0)} ${quote}${left}.`,
      "good", look(order));
  });
}
