/* The fills of the account, newest first. */

import { $, say } from "../lib/dom.js";
import { fillRow } from "./fill-row.js";
import { showOrder } from "./order-detail.js";
import { TIME, draw, keep, rowButton, table } from "./table.js";

export function mountFills(market, account) {
  const view = table($("#panel-fills"), "Your fills, newest first", [
    [TIME], ["Instrument"], ["Side"], ["Quantity", "n"], ["Price", "n"], ["Value", "n"],
    ["Fee", "n"], ["Role", "lo"], ["Client order id", "lo id"], ["", "act"],
  ]);
  view.body.addEventListener("click", (event) => {
    const { order } = event.target.closest("button")?.dataset ?? {};
    if (order) showOrder(market, account, order);
  });
  const again = keep(account, view, "fills", "No fills yet.", ["fills"], () => {
    const { fills } = account;
    say($("#count-fills"), fills.length ? String(fills.length) : "");
    draw(view, fills, (fill) => `${fill.trade_id}:${fill.order_id}`, (row, fill) => {
      fillRow(market, row, fill);
      const act = row.lastElementChild;
      if (!act.firstChild) act.append(rowButton("Order", `The order of this fill: ${fill.order_id}`, { "data-order": fill.order_id }));
    });
  });
  market.on("instruments", again);
}
