/* Changing an open order: what it has now is filled in, and only what differs is sent. */

import { make, say } from "../lib/dom.js";
import { compare, parse, places, show } from "../lib/decimal.js";
import { fromField, toField, zoneName } from "../lib/time.js";
import { isOpen, waitsForStop } from "../model/orders.js";
import { confirm } from "./confirm.js";
import { dialog } from "./dialog.js";
import { displayFault, endFault, priceFault, quantityFault } from "./faults.js";
import { distance } from "./forecast.js";
import { toast } from "./toasts.js";
import { VERBS, outcome, prices } from "./words.js";

const GONE = "This order is closed now: there is nothing left to change.";

/** The fields that an order has: [name, title, value now, unit]. */
function fieldsOf(order, instrument) {
  return [
    ...(waitsForStop(order) ? [["stop_price", "Stop price", order.stop_price, instrument.quote]] : []),
    ...(order.price ? [["price", "Price", order.price, instrument.quote]] : []),
    ["quantity", "Quantity, with what is filled", order.quantity, instrument.base],
    ...(order.display_quantity ? [["display_quantity", "Shown at a time", order.display_quantity, instrument.base]] : []),
    ...(order.time_in_force === "gtd" ? [["expire_at", "Ends at", order.expire_at, zoneName()]] : []),
  ];
}

export function editOrder(market, account, order) {
  if (!order || !isOpen(order)) {
    toast(GONE, "warn");
    return;
  }
  new Edit(market, account, order).open();
}

class Edit {
  constructor(market, account, order) {
    this.market = market;
    this.account = account;
    this.order = order;
    this.instrument = market.instruments.get(order.symbol);
    this.fields = fieldsOf(order, this.instrument);
  }

  open() {
    const { order, instrument } = this;
    this.now = make("p", { class: "hint" });
    this.effect = make("p", { class: "hint", role: "status" });
    this.error = make("p", { class: "error", role: "alert" });
    this.go = make("button", { type: "submit", class: "main", textContent: "Change the order" });
    const back = make("button", { type: "button", textContent: "Go back" });
    this.form = make("form", { autocomplete: "off", noValidate: true },
      this.now, ...this.fields.map((field) => this.#field(field)), this.effect, this.error,
      make("div", { class: "answers" }, back, this.go));
    const what = `${VERBS[order.side].toLowerCase()} ${show(order.quantity)} ${instrument.base}`;
    this.dialog = dialog("order-edit", `Edit order: ${what}`, this.form);
    const live = () => this.#live();
    this.account.on("orders", live);
    this.dialog.addEventListener("close", () => this.account.off("orders", live));
    back.addEventListener("click", () => this.dialog.close());
    this.form.addEventListener("input", () => this.#effect());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.#live();
    this.form.elements[0].select?.();
  }

  #field([name, title, value, unit]) {
    const kind = name === "expire_at" ? { type: "datetime-local", value: toField(value) }
      : { value, inputMode: "decimal", maxLength: 30 };
    const error = make("span", { class: "error", id: `edit-${name}-error` });
    return make("label", { class: "field" }, `${title} `, make("i", { textContent: unit }),
      make("input", { name, ...kind, "aria-describedby": error.id }), error);
  }

  /** The order as it is at this moment. */
  get #current() {
    return this.account.orders.get(this.order.order_id);
  }

  #live() {
    const order = this.#current;
    const open = order && isOpen(order);
    this.go.disabled = !open || this.busy;
    if (!open) say(this.error, GONE);
    else {
      this.order = order;
      const lots = (number) => show(number, places(this.instrument.lot));
      say(this.now, `Now ${lots(order.quantity)} at ${prices(order, places(this.instrument.tick)).replace("\n", ", ")}, ${lots(order.filled_quantity)} filled.`);
    }
    this.#effect();
  }

  #typed(name) {
    const field = this.form.elements[name];
    if (!field) return undefined;
    return name === "expire_at" ? fromField(field.value) : field.value.trim();
  }

  /** What differs from the order, as the venue wants it. */
  get #changes() {
    const found = {};
    for (const [name] of this.fields) {
      const typed = this.#typed(name);
      const now = this.order[name];
      const same = name === "expire_at" ? typed && toField(now) === toField(typed)
        : parse(typed) && compare(typed, now) === 0;
      if (!same) found[name] = typed;
    }
    return found;
  }

  #effect() {
    const { order } = this;
    const changes = this.#changes;
    const names = Object.keys(changes);
    const { quantity, display_quantity: display } = changes;
    const number = (text) => text && parse(text) && !text.startsWith("-");
    let text = "";
    if (number(quantity) && compare(quantity, order.filled_quantity) <= 0) {
      text = "So much is filled already: the order would be closed as filled.";
    } else if (names.length && !waitsForStop(order)) {
      const moves = "price" in changes || (number(quantity) && compare(quantity, order.quantity) > 0)
        || (number(display) && compare(display, order.display_quantity) > 0);
      text = moves ? "It loses its place in the queue, and may trade at once." : "It keeps its place in the queue.";
    }
    say(this.effect, text);
  }

  #faults(changes) {
    const { instrument } = this;
    const quantity = this.#typed("quantity");
    const rules = {
      quantity: (text) => quantityFault(text, instrument),
      price: (text) => priceFault(text, instrument),
      stop_price: (text) => priceFault(text, instrument, "stop price"),
      display_quantity: (text) => displayFault(text, quantity, instrument) || (text ? "" : "Enter a quantity."),
      expire_at: (instant) => endFault(instant, Date.now()),
    };
    return Object.fromEntries(this.fields.map(([name]) =>
      [name, name in changes ? rules[name](changes[name]) : ""]));
  }

  async #send() {
    if (this.busy || this.go.disabled) return;
    const changes = this.#changes;
    const faults = this.#faults(changes);
    for (const [name] of this.fields) {
      say(document.getElementById(`edit-${name}-error`), faults[name]);
      this.form.elements[name].setAttribute("aria-invalid", String(Boolean(faults[name])));
    }
    const wrong = this.fields.find(([name]) => faults[name]);
    if (wrong) {
      this.form.elements[wrong[0]].focus();
      return;
    }
    say(this.error, Object.keys(changes).length ? "" : "Nothing is different from what the order has.");
    if (this.error.textContent || !await this.#sure(changes)) return;
    this.busy = true;
    this.go.disabled = true;
    try {
      this.#done(await this.account.replace(this.order.order_id, changes));
    } catch (problem) {
      const unsure = problem.outcome === "unknown" ? " It may have been done: look at the order before you try again." : "";
      say(this.error, problem.message + unsure);
      this.busy = false;
      this.go.disabled = !isOpen(this.#current ?? {});
    }
  }

  #sure(changes) {
    if (!changes.price || waitsForStop(this.order)) return true;
    const { symbol, side } = this.order;
    const shown = symbol === this.market.symbol;
    const touch = shown ? this.market.book.best(side === "buy" ? "sell" : "buy")?.price ?? null : null;
    const last = shown ? this.market.last : this.instrument.last_price;
    const band = shown ? this.market.band : null;
    const said = distance({ price: changes.price, touch, last, side, band, instrument: this.instrument });
    if (!said) return true;
    return confirm({
      kind: "order", danger: true, title: "Change the order to this price?", warnings: [said],
      rows: [["Price", `${show(changes.price, places(this.instrument.tick))} ${this.instrument.quote}`]],
      go: "Change it all the same",
    });
  }

  #done(answer) {
    this.dialog.close();
    const done = answer.fills.length ? outcome(answer, this.instrument) : null;
    const place = answer.priority_kept ? " It kept its place in the queue." : " It has a new place in the queue.";
    const rests = isOpen(answer) && !waitsForStop(answer);
    toast(`The order is changed.${done ? ` ${done.text}.` : rests ? place : ""}`, done?.kind ?? "good");
  }
}
