/* The orders of the account: those that are open or closed lately, and all that there ever were.
   An order can be looked at, changed and canceled in its row. */

import { $, make, say } from "../lib/dom.js";
import { isZero, places, show, showAverage } from "../lib/decimal.js";
import { momentAndZone } from "../lib/time.js";
import { isOpen } from "../model/orders.js";
import { confirm } from "./confirm.js";
import { showOrder } from "./order-detail.js";
import { editOrder } from "./order-edit.js";
import { TIME, draw, keep, rowButton, side, table, when } from "./table.js";
import { toast } from "./toasts.js";
import { TYPES, prices, standing } from "./words.js";

const CHOICES = [
  ["now", "Open and recent", "Open orders, and those that closed since you signed in"],
  ["all", "Order history", "All orders of the account, the newest first"],
];

export class OrdersPanel {
  #market;
  #account;
  #view;
  #again;
  #history = false;
  #only = make("input", { type: "checkbox", id: "orders-only" });
  #onlyText = make("span");
  #older = make("button", { type: "button", class: "quiet", id: "orders-older", textContent: "Show older orders", hidden: true });
  #problem = "";

  constructor(market, account) {
    this.#market = market;
    this.#account = account;
    const panel = $("#panel-orders");
    this.#view = table(panel, "Your orders", [
      [TIME], ["Instrument"], ["Side"], ["Type"], ["Price", "n"], ["Quantity", "n"],
      ["Filled", "n"], ["Average", "n"], ["Status", "state"], ["", "act"],
    ], "", this.#toolbar());
    panel.append(this.#older);
    this.#older.addEventListener("click", () => this.#load((history) => history.older()));
    this.#only.addEventListener("change", () => this.#again());
    this.#view.body.addEventListener("click", (event) => this.#clicked(event.target.closest("button")));
    this.#again = keep(account, this.#view, "orders", () => this.#none(), ["orders"], () => this.#draw());
    for (const type of ["selected", "instruments"]) market.on(type, this.#again);
    account.on("signed", () => this.#turn(false));
    // After a lost connection: what closed meanwhile is in the history.
    account.on("fees", () => this.#history && this.#load((history) => history.refresh()));
  }

  #toolbar() {
    const choices = make("div", { class: "choices", role: "radiogroup", "aria-label": "Which orders" });
    for (const [value, text, title] of CHOICES) {
      const radio = make("input", { type: "radio", name: "orders-shown", value, checked: value === "now" });
      radio.addEventListener("change", () => this.#turn(value === "all"));
      choices.append(make("label", { title }, radio, make("span", { textContent: text })));
    }
    return make("div", { class: "toolbar" }, choices,
      make("label", { class: "check" }, this.#only, this.#onlyText));
  }

  #turn(history) {
    this.#history = history && this.#account.signedIn;
    $(`[name=orders-shown][value=${this.#history ? "all" : "now"}]`).checked = true;
    if (this.#history) this.#load((known) => known.refresh());
    else this.#again();
  }

  async #load(act) {
    const { history } = this.#account;
    this.#older.disabled = true;
    this.#problem = "";
    try {
      await act(history);
    } catch (problem) {
      this.#problem = problem.message;
    }
    this.#older.disabled = false;
    if (history === this.#account.history) this.#again();
  }

  #none() {
    if (this.#problem) return this.#problem;
    if (!this.#history) return "No open orders, and none closed since you signed in.";
    return this.#account.history.loaded ? "No orders yet." : "Asking the venue …";
  }

  #draw() {
    const { orders, history, mayTrade } = this.#account;
    const open = orders.open().length;
    say($("#count-orders"), open ? String(open) : "");
    $("#cancel-all").hidden = !open || !mayTrade;
    say($("#cancel-all"), this.#only.checked ? `Cancel all ${this.#market.symbol}` : "Cancel all");
    say(this.#onlyText, `Only ${this.#market.symbol ?? "this instrument"}`);
    const only = (order) => !this.#only.checked || order.symbol === this.#market.symbol;
    const list = (this.#history ? history.list(orders) : orders.list()).filter(only);
    this.#older.hidden = !this.#history || !history.more;
    draw(this.#view, list, (order) => order.key, (row, order) => this.#fill(row, order));
  }

  #digits(symbol, which) {
    const instrument = this.#market.instruments.get(symbol);
    return instrument ? places(instrument[which]) : 0;
  }

  #fill(row, order) {
    const [time, symbol, which, type, price, quantity, filled, average, status, act] = row.children;
    const digits = this.#digits(order.symbol, "tick");
    const lots = (number) => show(number, this.#digits(order.symbol, "lot"));
    row.classList.toggle("closed", !isOpen(order));
    row.dataset.status = order.status;
    when(time, order.created_at);
    say(symbol, order.symbol);
    side(which, order.side);
    say(status, standing(order));
    status.title = order.cancel_reason ?? order.reason ?? "";
    if (order.status === "rejected") {
      // The venue tells of it no more than this.
      for (const cell of [type, price, quantity, filled, average]) say(cell, "–");
      return;
    }
    say(type, `${TYPES[order.type] ?? order.type}, ${order.time_in_force.toUpperCase()}${order.post_only ? ", post-only" : ""}`);
    const by = `Entered ${order.manual ? "by hand" : "automatically"}, ${order.entered_by ?? "–"}`;
    type.title = order.expire_at ? `${by}; ends at ${momentAndZone(order.expire_at)}` : by;
    say(price, prices(order, digits));
    say(quantity, order.display_quantity
      ? `${lots(order.quantity)}\n${lots(order.display_quantity)} shown` : lots(order.quantity));
    say(filled, lots(order.filled_quantity));
    const some = !isZero(order.filled_quantity) && order.average_price;
    say(average, some ? showAverage(order.average_price, digits) : "–");
    average.title = some ? order.average_price : "";
    this.#buttons(act, order);
  }

  #buttons(act, order) {
    const kind = isOpen(order) && this.#account.mayTrade ? "open" : "closed";
    if (act.dataset.kind === kind) return;
    act.dataset.kind = kind;
    const what = `${order.side} ${order.quantity} ${order.symbol}`;
    const button = (text, verb, look) => rowButton(
      text, `${text}: ${what}`, { "data-order": order.order_id, "data-verb": verb }, look);
    act.replaceChildren(button("Details", "details"), ...(kind === "open"
      ? [button("Edit", "edit"), button("Cancel", "cancel", "quiet danger")] : []));
  }

  #clicked(button) {
    const { order: id, verb } = button?.dataset ?? {};
    if (!id) return;
    if (verb === "details") showOrder(this.#market, this.#account, id);
    else if (verb === "edit") editOrder(this.#market, this.#account, this.#account.orders.get(id));
    else this.#cancel(button, id);
  }

  async #cancel(button, id) {
    button.disabled = true;
    try {
      await this.#account.cancel(id);
    } catch (problem) {
      toast(problem.message, "bad");
      button.disabled = false;
    }
  }

  /** Cancel all open orders; with `shown` only those of the instrument to which the list is narrowed. */
  async cancelAll(shown = false) {
    const symbol = shown && this.#only.checked ? this.#market.symbol : null;
    const open = this.#account.orders.open().filter((order) => !symbol || order.symbol === symbol);
    if (!this.#account.mayTrade || !open.length) return;
    const symbols = [...new Set(open.map((order) => order.symbol))].sort();
    const sure = await confirm({
      kind: "cancel", danger: true,
      title: open.length === 1 ? "Cancel your open order?" : `Cancel all ${open.length} open orders?`,
      rows: symbols.map((symbol) => {
        const count = open.filter((order) => order.symbol === symbol).length;
        return [symbol, count === 1 ? "1 order" : `${count} orders`];
      }),
      warnings: ["Orders of this account that others have entered go too, those of FIX sessions included."],
      go: open.length === 1 ? "Cancel it" : "Cancel them all",
    });
    if (!sure) return;
    try {
      const { canceled } = await this.#account.cancelAll(symbol);
      toast(canceled.length === 1 ? "1 order is canceled." : `${canceled.length} orders are canceled.`, "good");
    } catch (problem) {
      toast(problem.message, "bad");
    }
  }
}
