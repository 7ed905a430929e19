/* The order ticket: says what the order will find, sends it marked as entered by hand, and shows
   where it is afterwards.

   Nothing about an order changes out of sight: the line above the button says all of the order
   that is about to be sent. */

import { $, say } from "../lib/dom.js";
import { add, compare, divideDown, multiply, show } from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";
import { affordable } from "../model/estimate.js";
import { asks, confirm } from "./confirm.js";
import { drawSums, find, warnings } from "./forecast.js";
import { Fields, isField, isNumber } from "./ticket-fields.js";
import { toast } from "./toasts.js";
import { VERBS, outcome } from "./words.js";

const PERCENT = "0.01";
const OTHER = { buy: "sell", sell: "buy" };

export class Ticket {
  #market;
  #account;
  #fields;
  #sentAt = null;
  #lost = false;

  /** `signIn` is asked for when nobody is; `showOrder` and `showFill` lead to what was done. */
  constructor(market, account, { signIn, showOrder, showFill }) {
    this.#market = market;
    this.#account = account;
    this.actions = { signIn, showOrder, showFill };
    this.form = $("#ticket");
    this.#fields = new Fields(this.form);
    const draw = oncePerFrame(() => this.#draw());
    for (const type of ["book", "trades", "band"]) market.on(type, draw);
    addEventListener("zonechange", draw);
    market.on("stale", () => this.#draw());
    market.on("selected", () => {
      this.#fields.clear();
      draw();
    });
    for (const type of ["signed", "balances", "fees", "orders"]) account.on(type, draw);
    // Every kind of control tells of itself once.
    const typed = (event) => isNumber(event.target.name);
    this.form.addEventListener("input", (event) => typed(event) && this.#changed(event.target.name));
    this.form.addEventListener("change", (event) => typed(event) || this.#changed(event.target.name));
    this.form.addEventListener("focusin", (event) => typed(event) && this.#fields.settle());
    this.form.addEventListener("keydown", (event) => this.#nudge(event));
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
    this.#fields.take(OTHER[sideOfBook], price);
    this.#draw();
  }

  setSide(side) {
    this.#fields.side = side;
    this.#changed("side");
  }

  focus() {
    this.#fields.focus();
  }

  /** What an order of this side would trade with, best first. */
  get #levels() {
    const { book } = this.#market;
    return (this.#fields.side === "buy" ? book.asks : book.bids).levels;
  }

  get #touch() {
    return this.#levels[0]?.price ?? null;
  }

  /** What a price is filled in with. */
  get #ruling() {
    return this.#touch ?? this.#market.last ?? "";
  }

  /** The order as it is filled in, and the book that it would meet. */
  get #draft() {
    const { instrument, symbol, last, band } = this.#market;
    return { instrument, symbol, last, band, ...this.#fields.draft, levels: this.#levels, touch: this.#touch };
  }

  #changed(name) {
    this.#fields.changed(name, this.#ruling);
    this.#draw();
  }

  /** Arrow keys move a price by a tick; with Shift by ten. */
  #nudge(event) {
    const up = { ArrowUp: true, ArrowDown: false }[event.key];
    const { instrument } = this.#market;
    if (up === undefined || !instrument || !["price", "stop_price"].includes(event.target.name)) return;
    event.preventDefault();
    if (!this.#fields.nudge(event.target.name, up, multiply(instrument.tick, event.shiftKey ? "10" : "1"))) return;
    this.#changed(event.target.name);
  }

  // What is shown.

  #draw() {
    const { instrument, symbol, stale } = this.#market;
    const { side } = this.#fields;
    this.form.dataset.side = side;
    this.form.dataset.stale = stale ? "yes" : "no";
    if (instrument) {
      if (!stale) this.#fields.prefill(this.#ruling);
      this.#fields.draw(instrument, symbol);
      const draft = this.#draft;
      const found = find(draft);
      const { fees, balances } = this.#account;
      drawSums(draft, found, fees, balances);
      $("#shares").hidden = !balances.size || !fees || !this.#account.mayTrade || this.#fields.byMoney;
      const said = stale ? [] : warnings(draft, found, this.#account.orders.open());
      say($("#ticket-warning"), said.map(({ text }) => text).join(" "));
    }
    this.#drawButton(instrument, side);
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
      const number = this.#fields.number ? show(this.#fields.number) : "";
      say(button, this.#fields.byMoney && number ? `${VERBS[side]} for ${number} ${instrument.quote}`
        : `${VERBS[side]} ${number} ${instrument.base}`.replace("  ", " "));
    }
    const { book } = this.#market;
    say($("#ticket-hint"), waits && this.#lost
      ? "The connection ended before the answer came. The venue is asked for the order by its id."
      : stale && instrument ? stale
      : book.status === "halted" ? "This instrument is halted: orders are refused until it is resumed."
      : this.#fields.isMarket && !this.#touch ? "A market order needs somebody to trade with, and that side of the book is empty."
      : !book.best("buy") && !book.best("sell")
        ? "The book is empty: a limit order waits there until somebody trades with it." : "");
  }

  #part(part) {
    const { instrument } = this.#market;
    const { fees, balances } = this.#account;
    const { side } = this.#fields;
    const money = balances.get(side === "buy" ? instrument.quote : instrument.base);
    if (!money || !fees) return;
    this.#fields.settle();
    const share = multiply(money.available, multiply(part, PERCENT));
    const rate = compare(fees.taker, fees.maker) > 0 ? fees.taker : fees.maker;
    const quantity = side === "sell" ? divideDown(share, "1", instrument.lot)
      : this.#fields.isMarket ? affordable(this.#levels, share, fees.taker, instrument.lot)
      : divideDown(share, multiply(this.#fields.price ?? this.#fields.stop ?? "0", add("1", rate)), instrument.lot);
    const most = instrument.max_quantity;
    this.#fields.quantity = compare(quantity, most) > 0 ? most : quantity;
  }

  // Sending.

  /** Ask about an order that is unusual. What is sent is what the question showed. */
  async #sure(order) {
    const { instrument } = this.#market;
    const draft = this.#draft;
    const said = warnings(draft, find(draft), this.#account.orders.open());
    const unusual = said.some((one) => one.asks);
    if (!unusual && !asks("each")) return true;
    const much = order.quantity ? `${show(order.quantity)} ${instrument.base}` : `for ${show(order.cash_quantity)} ${instrument.quote}`;
    return confirm({
      kind: asks("each") ? "each" : "order", danger: unusual, title: "Send this order?",
      warnings: said.map(({ text }) => text),
      rows: [
        [VERBS[order.side], much], ["Instrument", order.symbol], ["Terms", $("#ticket-terms").textContent],
        [$("#sum-value-title").textContent, $("#sum-value").textContent],
        [$("#sum-fee-title").textContent, $("#sum-fee").textContent],
      ],
      go: `${VERBS[order.side]}${unusual ? " all the same" : ""}`,
    });
  }

  async #send() {
    if (this.#sentAt !== null) return;
    if (!this.#account.signedIn) {
      this.actions.signIn();
      return;
    }
    if ($("#go").disabled) return;
    const { instrument, symbol } = this.#market;
    const order = this.#fields.order(instrument, symbol, Date.now());
    if (!order || !await this.#sure(order)) return;
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
    this.#fields.sent();
  }

  #refused(problem) {
    if (isField(problem.field)) {
      this.#fields.complain({ [problem.field]: problem.message });
      this.#fields.focus(problem.field);
    } else {
      const unsure = problem.outcome === "unknown"
        ? " It may have been done: look under Orders and Fills before you send it again." : "";
      this.#fields.complain({ ticket: problem.message + unsure });
    }
  }
}
