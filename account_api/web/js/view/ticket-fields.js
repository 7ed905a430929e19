/* The fields of the order ticket: what is chosen and typed, what each type of order was left with,
   and what is wrong with it, before the venue says so.

   A price is filled in only while nobody has touched the ticket. */

import { $, say } from "../lib/dom.js";
import { add, compare, parse, places, subtract } from "../lib/decimal.js";
import { fromField, toField, zoneName } from "../lib/time.js";
import { displayFault, endFault, fault, priceFault, quantityFault } from "./faults.js";
import { isStop } from "./forecast.js";
import { terms } from "./words.js";

const AT_ONCE = new Set(["ioc", "fok"]);
const NUMBERS = ["stop_price", "price", "quantity", "display_quantity"];
const FIELDS = [...NUMBERS, "expire_at"];
/** What each type of order may wait for, the usual one first. */
const TIFS = {
  limit: ["gtc", "day", "gtd", "ioc", "fok"], market: ["ioc", "fok"],
  stop: ["gtc", "day", "gtd"], stop_limit: ["gtc", "day", "gtd"],
};

export const isNumber = (name) => NUMBERS.includes(name);
export const isField = (name) => FIELDS.includes(name);

export class Fields {
  #elements;
  #type = "limit";
  /** What each type was left with. */
  #kept = Object.fromEntries(Object.entries(TIFS).map(([type, [tif]]) =>
    [type, { tif, expires: "", post: false, unit: "base", stp: "" }]));
  /** The price is the user's: typed, taken from the book, or seen while the ticket was filled in. */
  #own = false;

  constructor(form) {
    this.#elements = form.elements;
    // A browser that remembers what a form held must not fill it in behind our back.
    form.reset();
  }

  // What is chosen.

  get side() {
    return this.#elements.side.value;
  }

  set side(side) {
    this.#elements.side.value = side;
  }

  get type() {
    return this.#type;
  }

  get isMarket() {
    return this.#type === "market";
  }

  /** Whether the type has a limit of its own. */
  get #limited() {
    return this.#type === "limit" || this.#type === "stop_limit";
  }

  /** Whether the number is an amount of money and no quantity. */
  get byMoney() {
    return this.isMarket && this.#elements.unit.value === "quote";
  }

  #number(name) {
    const typed = this.#elements[name].value.trim();
    return parse(typed) && !typed.startsWith("-") ? typed : null;
  }

  get price() {
    return this.#limited ? this.#number("price") : null;
  }

  get stop() {
    return isStop(this.#type) ? this.#number("stop_price") : null;
  }

  get number() {
    return this.#number("quantity");
  }

  /** The part of a draft that is filled in here. */
  get draft() {
    return {
      side: this.side, type: this.#type, price: this.price, stop: this.stop, number: this.number,
      byMoney: this.byMoney, tif: this.#elements.tif.value,
    };
  }

  get #post() {
    return this.#elements.post_only.checked && this.#type === "limit";
  }

  /** Whether the book may show less than all of the order. */
  get #mayHide() {
    return this.#type === "limit" && !AT_ONCE.has(this.#elements.tif.value);
  }

  get #expires() {
    const { tif, expire_at: end } = this.#elements;
    return tif.value === "gtd" ? fromField(end.value) : null;
  }

  /** Two choices of which neither may be dropped in silence. */
  get #clash() {
    return this.#post && AT_ONCE.has(this.#elements.tif.value)
      ? "Post-only waits in the book, and this time in force never does. Choose one of the two." : "";
  }

  // Filling it in.

  /** The user changed the field of this name; `market` is the price to trade at just now. */
  changed(name, market) {
    const { type, unit, quantity } = this.#elements;
    if (name === "price") this.#own = true;
    if (name === "quantity") this.settle();
    if (name === "type") this.#turn(type.value);
    // 0.5 must not turn from coins into money.
    if (name === "unit") quantity.value = "";
    if (name === "side" && !this.#own) this.prefill(market, true);
    if (name === "tif" && this.#elements.tif.value === "gtd") this.#begin();
    if (["side", "type", "tif", "post_only", "unit", "stp"].includes(name)) this.complain({});
    this.#kept[this.#type] = this.#flags();
    if (name === "unit") quantity.focus();
  }

  #flags() {
    const { tif, expire_at: end, post_only: post, unit, stp } = this.#elements;
    return { tif: tif.value, expires: end.value, post: post.checked, unit: unit.value, stp: stp.value };
  }

  /** A date to begin with: this time tomorrow. */
  #begin() {
    const { expire_at: end } = this.#elements;
    if (!end.value) end.value = toField(Date.now() + 86_400_000);
  }

  /** Another type, with what that one was left with. */
  #turn(type) {
    const { tif, expire_at: end, post_only: post, unit, stp, quantity } = this.#elements;
    this.#elements.type.value = type;
    if (type === this.#type) return;
    this.#kept[this.#type] = this.#flags();
    if (this.byMoney || this.#kept[type].unit === "quote") quantity.value = "";
    this.#type = type;
    if (!this.#own) this.#elements.price.value = "";
    const kept = this.#kept[type];
    tif.value = kept.tif;
    end.value = kept.expires;
    post.checked = kept.post;
    unit.value = kept.unit;
    stp.value = kept.stp;
  }

  /** A limit order at this price. */
  take(side, price) {
    this.side = side;
    this.#turn("limit");
    this.#elements.price.value = price;
    this.#own = true;
    this.complain({});
    this.#elements.quantity.focus();
  }

  /** From now on the price stays as it is: somebody fills in the ticket and has seen it. */
  settle() {
    if (this.#elements.price.value) this.#own = true;
  }

  prefill(market, anew = false) {
    const { price, quantity } = this.#elements;
    // A stop waits for another market than this one: its limit is the user's from the beginning.
    if (this.#own || this.#type !== "limit" || (quantity.value && !anew)) return;
    price.value = market;
    if (quantity.value) this.settle();
  }

  /** Move a price by a step; gives whether it was moved. */
  nudge(name, up, step) {
    const from = this.#number(name);
    if (!from || (!up && compare(from, step) <= 0)) return false;
    this.#elements[name].value = up ? add(from, step) : subtract(from, step);
    return true;
  }

  set quantity(quantity) {
    this.#elements.quantity.value = quantity;
  }

  /** The order is under way: the next one has another quantity, and the market's price. */
  sent() {
    this.quantity = "";
    this.#elements.display_quantity.value = "";
    this.#elements.stop_price.value = "";
    if (this.#type === "stop_limit") this.#elements.price.value = "";
    this.#own = false;
  }

  /** Nothing of what was typed holds for another instrument. */
  clear() {
    this.sent();
    this.#elements.price.value = "";
    this.complain({});
  }

  focus(name = this.#next) {
    if (name === "display_quantity") $("#ticket-options").open = true;
    this.#elements[name].focus();
  }

  /** The field to be filled in next. */
  get #next() {
    const { stop_price: stop, price } = this.#elements;
    if (isStop(this.#type) && !stop.value) return "stop_price";
    return this.#limited && !price.value ? "price" : "quantity";
  }

  // What is shown.

  draw(instrument, symbol) {
    const { price, stop_price: stop, quantity, tif, post_only: post } = this.#elements;
    const money = this.byMoney;
    const type = this.#type;
    say($("#ticket-symbol"), symbol);
    say($("#price-title"), type === "stop_limit" ? "Limit price" : "Price");
    say($("#price-unit"), `${instrument.quote} for one ${instrument.base}`);
    say($("#unit-base"), `Quantity in ${instrument.base}`);
    say($("#unit-quote"), `Amount in ${instrument.quote}`);
    say($("#quantity-title"), !money ? "Quantity" : this.side === "buy" ? "Amount to spend" : "Amount to receive");
    say($("#quantity-unit"), money ? `${instrument.quote}, fee extra` : instrument.base);
    price.placeholder = `a multiple of ${instrument.tick}`;
    quantity.placeholder = money ? "an amount of money" : `a multiple of ${instrument.lot}`;
    stop.placeholder = price.placeholder;
    say($("#stop_price-unit"), instrument.quote);
    say($("#display_quantity-unit"), instrument.base);
    say($("#expire_at-unit"), zoneName());
    $("#stop_price-field").hidden = !isStop(type);
    $("#price-field").hidden = !this.#limited;
    $("#units").hidden = !this.isMarket;
    $("#post-field").hidden = type !== "limit";
    $("#expire_at-field").hidden = tif.value !== "gtd";
    $("#display_quantity-field").hidden = !this.#mayHide;
    for (const option of tif.options) option.hidden = option.disabled = !TIFS[type].includes(option.value);
    const clash = this.#clash;
    say($("#post-error"), clash);
    post.setAttribute("aria-invalid", String(Boolean(clash)));
    const line = $("#ticket-terms");
    const display = this.#mayHide ? this.#number("display_quantity") : null;
    const stp = this.#elements.stp.value;
    say(line, terms({
      type, price: this.price, stop: this.stop, tif: tif.value, expires: this.#expires, post: this.#post,
      display, stp, digits: places(instrument.tick), quote: instrument.quote, base: instrument.base,
    }));
    line.classList.toggle("unusual", tif.value !== TIFS[type][0] || this.#post || Boolean(display || stp));
  }

  // What is wrong.

  /** The order as the venue wants it at an instant; null where something is wrong, which is said. */
  order(instrument, symbol, now) {
    const { quantity, tif, stp } = this.#elements;
    const typed = (name) => this.#elements[name].value.trim();
    const number = quantity.value.trim();
    const faults = {
      stop_price: isStop(this.#type) ? priceFault(typed("stop_price"), instrument, "stop price") : "",
      price: this.#limited ? priceFault(typed("price"), instrument) : "",
      quantity: this.byMoney ? fault(number, null, null, "amount") : quantityFault(number, instrument),
      display_quantity: this.#mayHide ? displayFault(typed("display_quantity"), number, instrument) : "",
      expire_at: tif.value === "gtd" ? endFault(this.#expires, now) : "",
    };
    this.complain(faults);
    const wrong = FIELDS.find((name) => faults[name]);
    if (wrong || this.#clash) {
      this.focus(wrong ?? "post_only");
      return null;
    }
    const order = {
      client_order_id: `web-${crypto.randomUUID()}`,
      symbol,
      side: this.side,
      type: this.#type,
      [this.byMoney ? "cash_quantity" : "quantity"]: number,
      time_in_force: tif.value,
      manual: true,
    };
    if (isStop(this.#type)) order.stop_price = typed("stop_price");
    if (this.#limited) order.price = typed("price");
    if (this.#post) order.post_only = true;
    if (this.#mayHide && typed("display_quantity")) order.display_quantity = typed("display_quantity");
    if (tif.value === "gtd") order.expire_at = this.#expires;
    if (stp.value) order.self_trade_prevention = stp.value;
    return order;
  }

  /** Say what is wrong, by field; `ticket` is the order as a whole. What is not named is right. */
  complain(faults) {
    for (const name of [...FIELDS, "ticket"]) say($(`#${name}-error`), faults[name] ?? "");
    for (const name of FIELDS) {
      this.#elements[name].setAttribute("aria-invalid", String(Boolean(faults[name])));
    }
    if (faults.display_quantity) $("#ticket-options").open = true;
  }
}
