/* The order ticket: checks what is typed before the venue does, says what the order will find,
   sends it marked as entered by hand, and shows where it is afterwards.

   Nothing about an order changes out of sight. Each type has its own time in force and flags, a
   price is filled in only while nobody has touched the ticket, and the line above the button says
   all of the order that is about to be sent. */

import { $, $$, say } from "../lib/dom.js";
import {
  add, compare, divideDown, isMultiple, isZero, multiply, parse, places, show,
} from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";
import { affordable } from "../model/estimate.js";
import { confirm } from "./confirm.js";
import { drawSums, find, warnings } from "./forecast.js";
import { toast } from "./toasts.js";
import { VERBS, outcome, terms } from "./words.js";

const AT_ONCE = new Set(["ioc", "fok"]);
const PERCENT = "0.01";
const OTHER = { buy: "sell", sell: "buy" };

export class Ticket {
  #market;
  #account;
  #type = "limit";
  /** What each type was left with. */
  #kept = {
    limit: { tif: "gtc", post: false, unit: "base" }, market: { tif: "ioc", post: false, unit: "base" },
  };
  /** The price is the user's: typed, taken from the book, or seen while the ticket was filled in. */
  #own = false;
  #sentAt = null;
  #lost = false;

  /** `signIn` is asked for when nobody is; `showOrder` and `showFill` lead to what was done. */
  constructor(market, account, { signIn, showOrder, showFill }) {
    this.#market = market;
    this.#account = account;
    this.actions = { signIn, showOrder, showFill };
    this.form = $("#ticket");
    // A browser that remembers what a form held must not fill it in behind our back.
    this.form.reset();
    const draw = oncePerFrame(() => this.#draw());
    for (const type of ["book", "trades"]) market.on(type, draw);
    market.on("stale", () => this.#draw());
    market.on("selected", () => {
      this.#own = false;
      for (const name of ["price", "quantity"]) this.form.elements[name].value = "";
      this.#complain({});
      draw();
    });
    for (const type of ["signed", "balances", "fees", "orders"]) account.on(type, draw);
    // Every kind of control tells of itself once.
    const typed = (event) => ["price", "quantity"].includes(event.target.name);
    this.form.addEventListener("input", (event) => typed(event) && this.#changed(event.target.name));
    this.form.addEventListener("change", (event) => typed(event) || this.#changed(event.target.name));
    this.form.addEventListener("focusin", (event) => {
      if (["price", "quantity"].includes(event.target.name)) this.#settle();
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    $("#shares").addEventListener("click", (event) => {
      const part = event.target.dataset?.part;
      if (part) this.#part(part);
      this.#draw();
    });
  }

  /** Take over a price from the book: to trade with what waits there. */
  take(price, sideOfBook) {
    this.form.elements.side.value = OTHER[sideOfBook];
    this.#turn("limit");
    this.form.elements.price.value = price;
    this.#own = true;
    this.#complain({});
    this.form.elements.quantity.focus();
    this.#draw();
  }

  setSide(side) {
    this.form.elements.side.value = side;
    this.#changed("side");
  }

  focus() {
    const { quantity, price } = this.form.elements;
    (this.#isMarket || price.value ? quantity : price).focus();
  }

  // What is chosen.

  get #side() {
    return this.form.elements.side.value;
  }

  get #isMarket() {
    return this.#type === "market";
  }

  /** Whether the number is an amount of money and no quantity. */
  get #byMoney() {
    return this.#isMarket && this.form.elements.unit.value === "quote";
  }

  /** What an order of this side would trade with, best first. */
  get #levels() {
    const { book } = this.#market;
    return (this.#side === "buy" ? book.asks : book.bids).levels;
  }

  get #touch() {
    return this.#levels[0]?.price ?? null;
  }

  get #price() {
    const typed = this.form.elements.price.value.trim();
    return !this.#isMarket && parse(typed) && !typed.startsWith("-") ? typed : null;
  }

  get #number() {
    const typed = this.form.elements.quantity.value.trim();
    return parse(typed) && !typed.startsWith("-") ? typed : null;
  }

  /** The order as it is filled in, and the book that it would meet. */
  get #draft() {
    const { instrument, symbol, last } = this.#market;
    return {
      instrument, symbol, last, side: this.#side, type: this.#type, price: this.#price,
      number: this.#number, byMoney: this.#byMoney, levels: this.#levels, touch: this.#touch,
      tif: this.form.elements.tif.value,
    };
  }

  #changed(name) {
    const { type, unit, quantity } = this.form.elements;
    if (name === "price") this.#own = true;
    if (name === "quantity") this.#settle();
    if (name === "type") this.#turn(type.value);
    // 0.5 must not turn from coins into money.
    if (name === "unit") quantity.value = "";
    if (name === "side" && !this.#own) this.#prefill(true);
    if (["side", "type", "tif", "post_only", "unit"].includes(name)) this.#complain({});
    this.#kept[this.#type] = this.#flags();
    if (name === "unit") quantity.focus();
    this.#draw();
  }

  #flags() {
    const { tif, post_only: post, unit } = this.form.elements;
    return { tif: tif.value, post: post.checked, unit: unit.value };
  }

  /** Another type, with what that one was left with. */
  #turn(type) {
    const { tif, post_only: post, unit, quantity } = this.form.elements;
    this.form.elements.type.value = type;
    if (type === this.#type) return;
    this.#kept[this.#type] = this.#flags();
    if (this.#byMoney || this.#kept[type].unit === "quote") quantity.value = "";
    this.#type = type;
    const kept = this.#kept[type];
    tif.value = kept.tif;
    post.checked = kept.post;
    unit.value = kept.unit;
  }

  /** From now on the price stays as it is: somebody fills in the ticket and has seen it. */
  #settle() {
    if (this.form.elements.price.value) this.#own = true;
  }

  #prefill(anew = false) {
    const { price, quantity } = this.form.elements;
    if (this.#own || this.#isMarket || (quantity.value && !anew)) return;
    price.value = this.#touch ?? this.#market.last ?? "";
    if (quantity.value) this.#settle();
  }

  // What is shown.

  #draw() {
    const { instrument, stale } = this.#market;
    const side = this.#side;
    this.form.dataset.side = side;
    this.form.dataset.stale = stale ? "yes" : "no";
    if (instrument) {
      if (!stale) this.#prefill();
      this.#drawFields(instrument);
      const draft = this.#draft;
      const found = find(draft);
      const { fees, balances } = this.#account;
      drawSums(draft, found, fees, balances);
      $("#shares").hidden = !balances.size || !fees || !this.#account.mayTrade || this.#byMoney;
      const said = stale ? [] : warnings(draft, found, this.#account.openOrders());
      say($("#ticket-warning"), said.map(({ text }) => text).join(" "));
    }
    this.#drawButton(instrument, side);
  }

  #drawFields(instrument) {
    const { price, quantity, tif, post_only: post } = this.form.elements;
    const money = this.#byMoney;
    say($("#ticket-symbol"), this.#market.symbol);
    say($("#price-unit"), `${instrument.quote} for one ${instrument.base}`);
    say($("#unit-base"), `Quantity in ${instrument.base}`);
    say($("#unit-quote"), `Amount in ${instrument.quote}`);
    say($("#quantity-title"), !money ? "Quantity" : this.#side === "buy" ? "Amount to spend" : "Amount to receive");
    say($("#quantity-unit"), money ? `${instrument.quote}, fee extra` : instrument.base);
    price.placeholder = `a multiple of ${instrument.tick}`;
    quantity.placeholder = money ? "an amount of money" : `a multiple of ${instrument.lot}`;
    $("#price-field").hidden = this.#isMarket;
    $("#units").hidden = !this.#isMarket;
    $("#post-field").hidden = this.#isMarket;
    for (const option of tif.options) option.hidden = option.disabled = this.#isMarket && !AT_ONCE.has(option.value);
    const clash = this.#clash();
    say($("#post-error"), clash);
    post.setAttribute("aria-invalid", String(Boolean(clash)));
    const line = $("#ticket-terms");
    say(line, terms({
      type: this.#type, price: this.#price, tif: tif.value, post: post.checked && !this.#isMarket,
      digits: places(instrument.tick), quote: instrument.quote,
    }));
    line.classList.toggle("unusual", tif.value !== (this.#isMarket ? "ioc" : "gtc") || (post.checked && !this.#isMarket));
  }

  /** Two choices of which neither may be dropped in silence. */
  #clash() {
    const { tif, post_only: post } = this.form.elements;
    return post.checked && !this.#isMarket && AT_ONCE.has(tif.value)
      ? "Post-only waits in the book, and this time in force never does. Choose one of the two." : "";
  }

  #drawButton(instrument, side) {
    const button = $("#go");
    const account = this.#account;
    const { stale } = this.#market;
    const waits = this.#sentAt !== null;
    button.disabled = waits || (account.signedIn && (!account.mayTrade || Boolean(stale)));
    button.setAttribute("aria-busy", String(waits));
    const seconds = waits ? Math.floor((performance.now() - this.#sentAt) / 1000) : 0;
    const since = seconds ? ` ${seconds} s` : "";
    if (waits) say(button, this.#lost ? `Asking what became of it …${since}` : `Sending …${since}`);
    else if (!account.signedIn) say(button, "Sign in to trade");
    else if (!account.mayTrade) say(button, "This key may not trade");
    else if (stale) say(button, "Not live: no orders now");
    else if (instrument) {
      const number = this.#number ? show(this.#number) : "";
      say(button, this.#byMoney && number ? `${VERBS[side]} for ${number} ${instrument.quote}`
        : `${VERBS[side]} ${number} ${instrument.base}`.replace("  ", " "));
    }
    const { book } = this.#market;
    say($("#ticket-hint"), waits && this.#lost
      ? "The connection ended before the answer came. The venue is asked for the order by its id."
      : stale && instrument ? stale
      : book.status === "halted" ? "This instrument is halted: orders are refused until it is resumed."
      : this.#isMarket && !this.#touch ? "A market order needs somebody to trade with, and that side of the book is empty."
      : !book.best("buy") && !book.best("sell")
        ? "The book is empty: a limit order waits there until somebody trades with it." : "");
  }

  #part(part) {
    const { instrument } = this.#market;
    const { fees, balances } = this.#account;
    const side = this.#side;
    const money = balances.get(side === "buy" ? instrument.quote : instrument.base);
    if (!money || !fees) return;
    this.#settle();
    const share = multiply(money.available, multiply(part, PERCENT));
    const rate = compare(fees.taker, fees.maker) > 0 ? fees.taker : fees.maker;
    const quantity = side === "sell" ? divideDown(share, "1", instrument.lot)
      : this.#isMarket ? affordable(this.#levels, share, fees.taker, instrument.lot)
      : divideDown(share, multiply(this.#price ?? "0", add("1", rate)), instrument.lot);
    const most = instrument.max_quantity;
    this.form.elements.quantity.value = compare(quantity, most) > 0 ? most : quantity;
  }

  // Sending.

  /** What is wrong with a number, in words; "" when it can be used. */
  #fault(text, step, most, what) {
    if (!text) return `Enter ${/^[aeiou]/.test(what) ? "an" : "a"} ${what}.`;
    if (!parse(text) || text.startsWith("-")) return `Write the ${what} in digits with at most one point, like 0.5.`;
    if (isZero(text)) return `The ${what} must be more than zero.`;
    if (step && !isMultiple(text, step)) return `The ${what} must be a multiple of ${step}.`;
    if (most && compare(text, most) > 0) return `The ${what} is at most ${show(most)}.`;
    return "";
  }

  #order() {
    const { instrument, symbol } = this.#market;
    const { price, quantity, tif, post_only: post } = this.form.elements;
    const number = quantity.value.trim();
    const faults = {
      quantity: this.#byMoney ? this.#fault(number, null, null, "amount")
        : this.#fault(number, instrument.lot, instrument.max_quantity, "quantity"),
      price: this.#isMarket ? "" : this.#fault(price.value.trim(), instrument.tick, instrument.max_price, "price"),
    };
    if (!faults.quantity && !this.#byMoney && compare(number, instrument.min_quantity) < 0) {
      faults.quantity = `The quantity is at least ${instrument.min_quantity}.`;
    }
    this.#complain(faults);
    const wrong = ["price", "quantity"].find((name) => faults[name]);
    if (wrong || this.#clash()) {
      (wrong ? this.form.elements[wrong] : post).focus();
      return null;
    }
    const order = {
      client_order_id: `web-${crypto.randomUUID()}`,
      symbol,
      side: this.#side,
      type: this.#type,
      [this.#byMoney ? "cash_quantity" : "quantity"]: number,
      time_in_force: tif.value,
      manual: true,
    };
    if (!this.#isMarket) order.price = price.value.trim();
    if (!this.#isMarket && post.checked) order.post_only = true;
    return order;
  }

  /** Ask about an order that is unusual. What is sent is what the question showed. */
  async #sure(order) {
    const { instrument } = this.#market;
    const draft = this.#draft;
    const said = warnings(draft, find(draft), this.#account.openOrders());
    if (!said.some(({ asks }) => asks)) return true;
    const much = order.quantity ? `${show(order.quantity)} ${instrument.base}` : `for ${show(order.cash_quantity)} ${instrument.quote}`;
    return confirm({
      kind: "order", danger: true, title: "Send this order?",
      warnings: said.map(({ text }) => text),
      rows: [[VERBS[order.side], much], ["Instrument", order.symbol], ["Terms", $("#ticket-terms").textContent]],
      go: `${VERBS[order.side]} all the same`,
    });
  }

  async #send() {
    if (this.#sentAt !== null) return;
    if (!this.#account.signedIn) {
      this.actions.signIn();
      return;
    }
    if ($("#go").disabled) return;
    const order = this.#order();
    if (!order || !await this.#sure(order)) return;
    const instrument = this.#market.instrument;
    this.#sentAt = performance.now();
    this.#lost = false;
    const ticking = setInterval(() => this.#draw(), 1000);
    this.#draw();
    try {
      const answer = await this.#account.create(order, () => {
        this.#lost = true;
        this.#draw();
      });
      this.#done(answer, instrument, performance.now() - this.#sentAt);
    } catch (problem) {
      this.#refused(problem);
    } finally {
      clearInterval(ticking);
      this.#sentAt = null;
      this.#draw();
    }
  }

  #done(answer, instrument, took) {
    const time = this.#lost ? "the answer was lost, the order was found"
      : `answered in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`;
    const { text, kind, traded } = outcome(answer, instrument);
    toast(`${text} (${time}).`, kind, traded
      ? { label: "Show fills", act: () => this.actions.showFill(answer.order_id, true) }
      : { label: "Show order", act: () => this.actions.showOrder(answer.order_id, true) });
    if (traded) this.actions.showFill(answer.order_id);
    else this.actions.showOrder(answer.order_id);
    if (answer.symbol !== this.#market.symbol) return;
    this.form.elements.quantity.value = "";
    this.#own = false;
  }

  #refused(problem) {
    if (problem.field === "price" || problem.field === "quantity") {
      this.#complain({ [problem.field]: problem.message });
      this.form.elements[problem.field].focus();
    } else {
      const unsure = problem.outcome === "unknown"
        ? " It may have been done: look under Orders and Fills before you send it again." : "";
      this.#complain({ ticket: problem.message + unsure });
    }
  }

  #complain(faults) {
    for (const name of ["price", "quantity", "ticket"]) say($(`#${name}-error`), faults[name] ?? "");
    for (const name of ["price", "quantity"]) {
      this.form.elements[name].setAttribute("aria-invalid", String(Boolean(faults[name])));
    }
  }
}
