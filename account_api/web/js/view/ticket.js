/* The order ticket: checks what is typed before the venue does, says what it will cost, sends
   it marked as entered by hand, and shows where the order is afterwards. */

import { $, $$, say } from "../lib/dom.js";
import {
  add, compare, divideDown, isMultiple, isZero, multiply, parse, places, roundUp, show,
} from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";
import { toast } from "./toasts.js";

const FEE_PLACES = 8;
const WORDS = { buy: "Buy", sell: "Sell" };

export class Ticket {
  #market;
  #account;
  #typed = false;
  #busy = false;

  /** `signIn` is asked for when nobody is; `showOrder` and `showFill` lead to what was done. */
  constructor(market, account, { signIn, showOrder, showFill }) {
    this.#market = market;
    this.#account = account;
    this.actions = { signIn, showOrder, showFill };
    this.form = $("#ticket");
    const draw = oncePerFrame(() => this.#draw());
    for (const type of ["book", "trades"]) market.on(type, draw);
    market.on("selected", () => {
      this.#typed = false;
      for (const name of ["price", "quantity"]) this.form.elements[name].value = "";
      this.#complain({});
      draw();
    });
    for (const type of ["signed", "balances", "fees"]) account.on(type, draw);
    this.form.addEventListener("input", (event) => {
      if (event.target.name === "price") this.#typed = event.target.value !== "";
      if (["side", "type"].includes(event.target.name)) this.#complain({});
      draw();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    $("#shares").addEventListener("click", (event) => {
      const part = event.target.dataset?.part;
      if (part) this.#part(part);
      draw();
    });
  }

  /** Take over a price from the book: to trade with what waits there. */
  take(price, sideOfBook) {
    this.setSide(sideOfBook === "sell" ? "buy" : "sell");
    this.form.elements.type.value = "limit";
    this.form.elements.price.value = price;
    this.#typed = true;
    this.form.elements.quantity.focus();
    this.#draw();
  }

  setSide(side) {
    this.form.elements.side.value = side;
    this.#complain({});
    this.#draw();
  }

  focus() {
    const { quantity, price } = this.form.elements;
    (this.#isMarket || price.value ? quantity : price).focus();
  }

  get #side() {
    return this.form.elements.side.value;
  }

  get #isMarket() {
    return this.form.elements.type.value === "market";
  }

  /** The best price on the other side, which is what an order trades at first. */
  get #touch() {
    return this.#market.book.best(this.#side === "buy" ? "sell" : "buy")?.price ?? null;
  }

  get #price() {
    const typed = this.form.elements.price.value.trim();
    return this.#isMarket ? this.#touch : parse(typed) ? typed : null;
  }

  #draw() {
    const { instrument } = this.#market;
    if (!instrument) return;
    const { price, quantity, tif, post_only: post } = this.form.elements;
    const side = this.#side;
    if (!this.#typed && !this.#isMarket && document.activeElement !== price) {
      price.value = this.#touch ?? this.#market.last ?? "";
    }
    say($("#ticket-symbol"), this.#market.symbol);
    say($("#price-unit"), `${instrument.quote} for one ${instrument.base}`);
    say($("#quantity-unit"), instrument.base);
    price.placeholder = `a multiple of ${instrument.tick}`;
    quantity.placeholder = `a multiple of ${instrument.lot}`;
    $("#price-field").hidden = this.#isMarket;
    for (const option of tif.options) {
      option.disabled = this.#isMarket && ["gtc", "day"].includes(option.value);
    }
    if (this.#isMarket && ["gtc", "day"].includes(tif.value)) tif.value = "ioc";
    post.disabled = this.#isMarket || ["ioc", "fok"].includes(tif.value);
    if (post.disabled) post.checked = false;
    this.form.dataset.side = side;
    this.#drawSums(instrument, side);
    this.#drawButton(instrument, side);
  }

  #drawSums(instrument, side) {
    const typed = this.form.elements.quantity.value.trim();
    const price = this.#price;
    const value = price && parse(typed) ? multiply(price, typed) : null;
    const about = this.#isMarket ? "about " : "";
    const { fees } = this.#account;
    const rate = fees && compare(fees.taker, fees.maker) > 0 ? fees.taker : fees?.maker;
    say($("#sum-value"), value ? `${about}${show(value)} ${instrument.quote}` : "–");
    say($("#sum-fee"), value && rate
      ? `${about}${show(roundUp(multiply(value, rate), FEE_PLACES))} ${instrument.quote}` : "–");
    const asset = side === "buy" ? instrument.quote : instrument.base;
    const money = this.#account.balances.get(asset);
    say($("#sum-available"), money ? `${show(money.available)} ${asset}` : "–");
    $("#shares").hidden = !money || !this.#account.mayTrade;
  }

  #drawButton(instrument, side) {
    const button = $("#go");
    const typed = this.form.elements.quantity.value.trim();
    const account = this.#account;
    button.disabled = this.#busy || (account.signedIn && !account.mayTrade);
    if (!account.signedIn) say(button, "Sign in to trade");
    else if (!account.mayTrade) say(button, "This key may not trade");
    else say(button, `${WORDS[side]} ${parse(typed) ? show(typed) : ""} ${instrument.base}`.replace("  ", " "));
    const halted = this.#market.book.status === "halted";
    const empty = this.#isMarket && !this.#touch;
    say($("#ticket-hint"), halted
      ? "This instrument is halted: orders are refused until it is resumed."
      : empty ? "A market order needs somebody to trade with, and that side of the book is empty."
      : !this.#market.book.best("buy") && !this.#market.book.best("sell")
        ? "The book is empty: a limit order waits there until somebody trades with it." : "");
  }

  #part(part) {
    const { instrument } = this.#market;
    const side = this.#side;
    const { available } = this.#account.balances.get(side === "buy" ? instrument.quote : instrument.base);
    const share = multiply(available, multiply(part, "0.01"));
    const rate = this.#account.fees?.taker ?? "0";
    const cost = side === "buy" ? multiply(this.#price ?? "0", add("1", rate)) : "1";
    const quantity = divideDown(share, cost, instrument.lot);
    const most = instrument.max_quantity;
    this.form.elements.quantity.value = compare(quantity, most) > 0 ? most : quantity;
  }

  /** What is wrong with a number, in words; "" when it can be used. */
  #fault(text, step, most, what) {
    if (!text) return `Enter a ${what}.`;
    if (!parse(text) || text.startsWith("-")) return `Write the ${what} in digits with at most one point, like 0.5.`;
    if (isZero(text)) return `The ${what} must be more than zero.`;
    if (!isMultiple(text, step)) return `The ${what} must be a multiple of ${step}.`;
    if (compare(text, most) > 0) return `The ${what} is at most ${show(most)}.`;
    return "";
  }

  #order() {
    const { instrument, symbol } = this.#market;
    const { price, quantity, tif, post_only: post } = this.form.elements;
    const faults = {
      quantity: this.#fault(quantity.value.trim(), instrument.lot, instrument.max_quantity, "quantity"),
      price: this.#isMarket ? "" : this.#fault(price.value.trim(), instrument.tick, instrument.max_price, "price"),
    };
    if (!faults.quantity && compare(quantity.value.trim(), instrument.min_quantity) < 0) {
      faults.quantity = `The quantity is at least ${instrument.min_quantity}.`;
    }
    this.#complain(faults);
    const wrong = ["price", "quantity"].find((name) => faults[name]);
    if (wrong) {
      this.form.elements[wrong].focus();
      return null;
    }
    const order = {
      client_order_id: `web-${crypto.randomUUID()}`,
      symbol,
      side: this.#side,
      type: this.#isMarket ? "market" : "limit",
      quantity: quantity.value.trim(),
      time_in_force: tif.value,
      manual: true,
    };
    if (!this.#isMarket) order.price = price.value.trim();
    if (post.checked) order.post_only = true;
    return order;
  }

  async #send() {
    if (this.#busy) return;
    if (!this.#account.signedIn) {
      this.actions.signIn();
      return;
    }
    const order = this.#order();
    if (!order) return;
    this.#busy = true;
    this.#draw();
    const began = performance.now();
    try {
      const answer = await this.#account.create(order);
      this.#done(answer, performance.now() - began);
    } catch (problem) {
      this.#refused(problem);
    } finally {
      this.#busy = false;
      this.#draw();
    }
  }

  #done(answer, took) {
    const { instrument } = this.#market;
    const [base, quote] = answer.symbol.split("-");
    const verb = answer.side === "buy" ? "Bought" : "Sold";
    const time = `answered in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`;
    const digits = instrument ? places(instrument.tick) : 0;
    const traded = !isZero(answer.filled_quantity)
      ? `${verb} ${show(answer.filled_quantity)} ${base} at ${show(answer.average_price, digits)} ${quote}` : "";
    const rests = ["new", "partially_filled"].includes(answer.status);
    const rest = rests
      ? `${traded ? "; " : ""}${show(answer.leaves_quantity)} ${base} ${traded ? "wait" : "waits"} in the book`
      : traded ? "" : "Nothing was there to trade with; the order is canceled";
    toast(`${traded}${rest} (${time}).`, rests || traded ? "good" : "plain", traded
      ? { label: "Show fills", act: () => this.actions.showFill(answer.order_id, true) }
      : { label: "Show order", act: () => this.actions.showOrder(answer.order_id, true) });
    if (traded) this.actions.showFill(answer.order_id);
    else this.actions.showOrder(answer.order_id);
    this.form.elements.quantity.value = "";
    this.#typed = false;
  }

  #refused(problem) {
    if (problem.field === "price" || problem.field === "quantity") {
      this.#complain({ [problem.field]: problem.message });
      this.form.elements[problem.field].focus();
    } else {
      const unsure = problem.outcome === "unknown"
        ? " It may have been done: look under Orders and Fills." : "";
      this.#complain({ ticket: problem.message + unsure });
    }
  }

  #complain(faults) {
    for (const element of $$(".error", this.form)) say(element, faults[element.id.split("-")[0]] ?? "");
    for (const name of ["price", "quantity"]) {
      this.form.elements[name].setAttribute("aria-invalid", String(Boolean(faults[name])));
    }
  }
}
