/* The tabs of the account and what is in them. */

import { $, $$, clock, make, moment, rows, say } from "../lib/dom.js";
import { places, show, showAverage } from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";
import { isOpen } from "../model/orders.js";
import { confirm } from "./confirm.js";
import { toast } from "./toasts.js";
import { Withdrawals } from "./withdrawals.js";

const FLASH_MS = 3_000;
const STATUS = {
  new: "waits in the book", partially_filled: "partly filled", filled: "filled",
  canceled: "canceled", expired: "expired", rejected: "rejected",
};

/** Where an order stands, in words. An order with a stop price is in no book until it triggers. */
function standing(order) {
  if (order.status === "new" && order.stop_price && !order.triggered) {
    return "waits for its stop price";
  }
  return STATUS[order.status] ?? order.status;
}

/** A table with a caption, in a panel; returns its body. `columns` are [title, class]. */
function table(panel, caption, columns, empty) {
  const head = make("tr", {}, ...columns.map(([title, kind = ""]) =>
    make("th", { scope: "col", class: kind, textContent: title })));
  const body = make("tbody");
  panel.replaceChildren(
    make("table", { class: "list" }, make("caption", { class: "unseen", textContent: caption }),
      make("thead", {}, head), body),
    make("p", { class: "empty", textContent: empty }),
  );
  const build = () => make("tr", {}, ...columns.map(([title, kind = ""]) =>
    make("td", { class: kind, "data-title": title })));
  return { panel, body, build };
}

function draw({ panel, body, build }, items, keyOf, fill) {
  rows(body, items, keyOf, build, fill);
  $("table", panel).hidden = items.length === 0;
  $(".empty", panel).hidden = items.length > 0;
}

function side(cell, which) {
  say(cell, which === "buy" ? "Buy" : "Sell");
  cell.dataset.side = which;
}

export class Panels {
  #market;
  #account;

  constructor(market, account) {
    this.#market = market;
    this.#account = account;
    this.#mountTabs();
    this.#mountOrders();
    this.#mountFills();
    this.#mountBalances();
    this.#mountTransfers();
    $("#cancel-all").addEventListener("click", () => this.cancelAll());
  }

  /** Show a panel by name. */
  show(name, focus = false) {
    if (!$(`#tab-${CSS.escape(name)}`)) return;
    for (const tab of $$("[role=tab]")) {
      const chosen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen && focus) tab.focus();
      $(`#${tab.getAttribute("aria-controls")}`).hidden = !chosen;
    }
    this.shown(name);
  }

  /** Called with the name of the panel that is shown from now on. */
  shown = () => {};

  /** Show a row and let it shine for a moment, now or when it arrives. */
  flash(panel, matches) {
    this.show(panel);
    const shine = () => {
      const found = $$(`#panel-${panel} tbody tr`).filter((row) => matches(row.dataset.key));
      for (const row of found) {
        row.classList.add("flash");
        row.scrollIntoView({ block: "nearest" });
        setTimeout(() => row.classList.remove("flash"), FLASH_MS);
      }
      return found.length > 0;
    };
    if (!shine()) setTimeout(shine, 300);
  }

  async cancelAll() {
    const open = this.#account.orders.open();
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
      const { canceled } = await this.#account.cancelAll();
      toast(canceled.length === 1 ? "1 order is canceled." : `${canceled.length} orders are canceled.`, "good");
    } catch (problem) {
      toast(problem.message, "bad");
    }
  }

  #mountTabs() {
    const tabs = $$("[role=tab]");
    tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => this.show(tab.id.slice(4)));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        this.show(tabs.at((index + step) % tabs.length).id.slice(4), true);
      });
    });
  }

  #signedOut(name) {
    return this.#account.signedIn ? null : `Sign in to see your ${name}.`;
  }

  /** Draw a panel whenever one of the events happens. */
  #keep(view, name, none, events, paint) {
    const again = oncePerFrame(() => {
      say($(".empty", view.panel), this.#signedOut(name) ??
        (this.#account.name ? none : "An operator has none."));
      paint();
    });
    for (const event of ["signed", ...events]) this.#account.on(event, again);
    again();
  }

  #digits(symbol, which) {
    const instrument = this.#market.instruments.get(symbol);
    return instrument ? places(instrument[which]) : 0;
  }

  #mountOrders() {
    const view = table($("#panel-orders"), "Your orders, open ones first", [
      ["Time"], ["Instrument"], ["Side"], ["Type", "lo"], ["Price", "n"], ["Quantity", "n"],
      ["Filled", "n"], ["Status"], ["Entered", "lo"], ["", "act"],
    ]);
    view.body.addEventListener("click", (event) => {
      const id = event.target.closest("button")?.dataset.order;
      if (id) this.#cancel(event.target, id);
    });
    this.#keep(view, "orders", "No open orders, and none closed since you signed in.", ["orders"], () => {
      const open = this.#account.orders.open().length;
      say($("#count-orders"), open ? String(open) : "");
      $("#cancel-all").hidden = !open || !this.#account.mayTrade;
      draw(view, this.#account.orders.list(), (order) => order.order_id, (row, order) => this.#order(row, order));
    });
  }

  #order(row, order) {
    const [time, symbol, which, type, price, quantity, filled, status, entered, act] = row.children;
    row.classList.toggle("closed", !isOpen(order));
    const average = order.average_price ? `, average price ${order.average_price}` : "";
    row.title = `Client order id ${order.client_order_id}, order ${order.order_id}${average}`;
    say(time, clock(order.created_at));
    say(symbol, order.symbol);
    side(which, order.side);
    say(type, `${order.type.replace("_", " ")}, ${order.time_in_force}`);
    const digits = this.#digits(order.symbol, "tick");
    const limit = order.price ? show(order.price, digits) : "market";
    say(price, order.stop_price ? `stop ${show(order.stop_price, digits)}, then ${limit}` : limit);
    say(quantity, order.display_quantity
      ? `${show(order.quantity)}, ${show(order.display_quantity)} shown` : show(order.quantity));
    say(filled, order.average_price && order.filled_quantity !== "0"
      ? `${show(order.filled_quantity)} at ${showAverage(order.average_price, digits)}`
      : show(order.filled_quantity));
    say(status, standing(order));
    say(entered, order.manual ? "by hand" : "automated");
    entered.title = order.entered_by ?? "";
    const wanted = isOpen(order) && this.#account.mayTrade;
    if (wanted && !act.firstChild) {
      act.append(make("button", {
        type: "button", class: "quiet danger", textContent: "Cancel", "data-order": order.order_id,
        "aria-label": `Cancel ${order.side} ${order.quantity} ${order.symbol}`,
      }));
    } else if (!wanted && act.firstChild) act.replaceChildren();
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

  #mountFills() {
    const view = table($("#panel-fills"), "Your fills, newest first", [
      ["Time"], ["Instrument"], ["Side"], ["Quantity", "n"], ["Price", "n"], ["Value", "n lo"],
      ["Fee", "n lo"], ["Role", "lo"], ["Client order id", "lo id"],
    ]);
    this.#keep(view, "fills", "No fills yet.", ["fills"], () => {
      const { fills } = this.#account;
      say($("#count-fills"), fills.length ? String(fills.length) : "");
      draw(view, fills, (fill) => `${fill.trade_id}:${fill.order_id}`, (row, fill) => {
        const [time, symbol, which, quantity, price, value, fee, role, id] = row.children;
        say(time, moment(fill.time));
        say(symbol, fill.symbol);
        side(which, fill.side);
        say(quantity, show(fill.quantity));
        say(price, show(fill.price, this.#digits(fill.symbol, "tick")));
        say(value, show(fill.notional));
        say(fee, `${show(fill.fee)} ${fill.fee_asset}`);
        say(role, fill.liquidity);
        say(id, fill.client_order_id);
        id.title = fill.client_order_id;
      });
    });
  }

  #mountBalances() {
    const offered = new Set(document.documentElement.dataset.faucet.split(" ").filter(Boolean));
    const view = table($("#panel-balances"), "Your balances", [
      ["Asset"], ["Available", "n"], ["Held", "n"], ["Total", "n"], ["", "act"],
    ]);
    view.body.addEventListener("click", (event) => {
      const asset = event.target.closest("button")?.dataset.asset;
      if (asset) this.#faucet(event.target, asset);
    });
    this.#keep(view, "balances", "No balances.", ["balances"], () => {
      const list = [...this.#account.balances.values()];
      draw(view, list, (row) => row.asset, (row, balance) => {
        const [asset, available, held, total, act] = row.children;
        say(asset, balance.asset);
        say(available, show(balance.available));
        say(held, show(balance.held));
        say(total, show(balance.posted));
        const wanted = offered.has(balance.asset) && this.#account.mayTrade;
        if (wanted && !act.firstChild) {
          act.append(make("button", {
            type: "button", class: "quiet", textContent: "Get test coins", "data-asset": balance.asset,
            "aria-label": `Get test coins of ${balance.asset}`,
          }));
        } else if (!wanted) act.replaceChildren();
      });
    });
  }

  async #faucet(button, asset) {
    button.disabled = true;
    try {
      const { amount } = await this.#account.rest("POST", "/v1/faucet", { asset });
      toast(`${show(amount)} ${asset} are yours.`, "good");
    } catch (problem) {
      toast(problem.message, "bad");
    } finally {
      button.disabled = false;
    }
  }

  #mountTransfers() {
    const form = $("#withdraw");
    const view = table($("#panel-transfers"), "Your withdrawals, deposits and transfers", [
      ["Time"], ["Kind"], ["Amount", "n"], ["Fee", "n lo"], ["State"], ["To or from", "id"],
      ["", "act"],
    ]);
    $("#panel-transfers").prepend(form);
    const withdrawals = new Withdrawals(this.#account);
    const when = (row) => row.created_at ?? row.time;
    this.#keep(view, "withdrawals and deposits", "None yet.", ["transfers"], () => {
      const list = [...this.#account.transfers.entries()]
        .map(([key, row]) => ({ key, ...row }))
        .sort((one, other) => (when(one) < when(other) ? 1 : -1));
      draw(view, list, (row) => row.key, (row, transfer) => {
        const [time, kind, amount, fee, state, place, act] = row.children;
        say(time, moment(when(transfer)));
        say(kind, transfer.event);
        say(amount, `${show(transfer.amount ?? transfer.change)} ${transfer.asset}`);
        say(fee, transfer.fee ? `${show(transfer.fee)} ${transfer.asset}` : "–");
        say(state, transfer.state?.replace("_", " ") ??
          (transfer.event === "deposit" && !transfer.credited
            ? `${transfer.confirmations} of ${transfer.confirmations_required} confirmations` : "done"));
        say(place, transfer.address ?? transfer.other_account ?? transfer.deposit_id ?? "");
        place.title = transfer.txid ?? place.textContent;
        withdrawals.fill(act, transfer);
      });
    });
  }
}
