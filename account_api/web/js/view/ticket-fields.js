/* The fields of the order ticket: what is chosen and typed, what each type of order was left with,
   and what is wrong with it, before the venue says so.

   A price is filled in only while nobody has touched the ticket. */

import { $, say } from "../lib/dom.js";
import { compare, isMultiple, isZero, parse, places, show } from "../lib/decimal.js";
import { terms } from "./words.js";

const AT_ONCE = new Set(["ioc", "fok"]);
const NUMBERS = ["price", "quantity"];

export const isNumber = (name) => NUMBERS.includes(name);

export class Fields {
  #elements;
  #type = "limit";
  /** What each type was left with. */
  #kept = {
    limit: { tif: "gtc", post: false, unit: "base" }, market: { tif: "ioc", post: false, unit: "base" },
  };
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

  get isMarket() {
    return this.#type === "market";
  }

  /** Whether the number is an amount of money and no quantity. */
  get byMoney() {
    return this.isMarket && this.#elements.unit.value === "quote";
  }

  get price() {
    const typed = this.#elements.price.value.trim();
    return !this.isMarket && parse(typed) && !typed.startsWith("-") ? typed : null;
  }

  get number() {
    const typed = this.#elements.quantity.value.trim();
    return parse(typed) && !typed.startsWith("-") ? typed : null;
  }

  /** The part of a draft that is filled in here. */
  get draft() {
    return {
      side: this.side, type: this.#type, price: this.price, number: this.number,
      byMoney: this.byMoney, tif: this.#elements.tif.value,
    };
  }

  get #post() {
    return this.#elements.post_only.checked && !this.isMarket;
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
    if (["side", "type", "tif", "post_only", "unit"].includes(name)) this.complain({});
    this.#kept[this.#type] = this.#flags();
    if (name === "unit") quantity.focus();
  }

  #flags() {
    const { tif, post_only: post, unit } = this.#elements;
    return { tif: tif.value, post: post.checked, unit: unit.value };
  }

  /** Another type, with what that one was left with. */
  #turn(type) {
    const { tif, post_only: post, unit, quantity } = this.#elements;
    this.#elements.type.value = type;
    if (type === this.#type) return;
    this.#kept[this.#type] = this.#flags();
    if (this.byMoney || this.#kept[type].unit === "quote") quantity.value = "";
    this.#type = type;
    const kept = this.#kept[type];
    tif.value = kept.tif;
    post.checked = kept.post;
    unit.value = kept.unit;
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
    if (this.#own || this.isMarket || (quantity.value && !anew)) return;
    price.value = market;
    if (quantity.value) this.settle();
  }

  set quantity(quantity) {
    this.#elements.quantity.value = quantity;
  }

  /** The order is under way: the next one has another quantity, and the market's price. */
  sent() {
    this.quantity = "";
    this.#own = false;
  }

  /** Nothing of what was typed holds for another instrument. */
  clear() {
    this.sent();
    this.#elements.price.value = "";
    this.complain({});
  }

  focus(name = this.isMarket || this.#elements.price.value ? "quantity" : "price") {
    this.#elements[name].focus();
  }

  // What is shown.

  draw(instrument, symbol) {
    const { price, quantity, tif, post_only: post } = this.#elements;
    const money = this.byMoney;
    say($("#ticket-symbol"), symbol);
    say($("#price-unit"), `${instrument.quote} for one ${instrument.base}`);
    say($("#unit-base"), `Quantity in ${instrument.base}`);
    say($("#unit-quote"), `Amount in ${instrument.quote}`);
    say($("#quantity-title"), !money ? "Quantity" : this.side === "buy" ? "Amount to spend" : "Amount to receive");
    say($("#quantity-unit"), money ? `${instrument.quote}, fee extra` : instrument.base);
    price.placeholder = `a multiple of ${instrument.tick}`;
    quantity.placeholder = money ? "an amount of money" : `a multiple of ${instrument.lot}`;
    $("#price-field").hidden = this.isMarket;
    $("#units").hidden = !this.isMarket;
    $("#post-field").hidden = this.isMarket;
    for (const option of tif.options) option.hidden = option.disabled = this.isMarket && !AT_ONCE.has(option.value);
    const clash = this.#clash;
    say($("#post-error"), clash);
    post.setAttribute("aria-invalid", String(Boolean(clash)));
    const line = $("#ticket-terms");
    say(line, terms({
      type: this.#type, price: this.price, tif: tif.value, post: this.#post,
      digits: places(instrument.tick), quote: instrument.quote,
    }));
    line.classList.toggle("unusual", tif.value !== (this.isMarket ? "ioc" : "gtc") || this.#post);
  }

  // What is wrong.

  /** The order as the venue wants it; null where something is wrong, which is then said. */
  order(instrument, symbol) {
    const { price, quantity, tif } = this.#elements;
    const number = quantity.value.trim();
    const faults = {
      quantity: this.byMoney ? fault(number, null, null, "amount")
        : fault(number, instrument.lot, instrument.max_quantity, "quantity"),
      price: this.isMarket ? "" : fault(price.value.trim(), instrument.tick, instrument.max_price, "price"),
    };
    if (!faults.quantity && !this.byMoney && compare(number, instrument.min_quantity) < 0) {
      faults.quantity = `The quantity is at least ${instrument.min_quantity}.`;
    }
    this.complain(faults);
    const wrong = NUMBERS.find((name) => faults[name]);
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
    if (!this.isMarket) order.price = price.value.trim();
    if (this.#post) order.post_only = true;
    return order;
  }

  /** Say what is wrong, by field; `ticket` is the order as a whole. What is not named is right. */
  complain(faults) {
    for (const name of [...NUMBERS, "ticket"]) say($(`#${name}-error`), faults[name] ?? "");
    for (const name of NUMBERS) {
      this.#elements[name].setAttribute("aria-invalid", String(Boolean(faults[name])));
    }
  }
}

/** What is wrong with a number, in words; "" when it can be used. */
function fault(text, step, most, what) {
  if (!text) return `Enter ${/^[aeiou]/.test(what) ? "an" : "a"} ${what}.`;
  if (!parse(text) || text.startsWith("-")) return `Write the ${what} in digits with at most one point, like 0.5.`;
  if (isZero(text)) return `The ${what} must be more than zero.`;
  if (step && !isMultiple(text, step)) return `The ${what} must be a multiple of ${step}.`;
  if (most && compare(text, most) > 0) return `The ${what} is at most ${show(most)}.`;
  return "";
}
