/* What an order is and what became of it, in words. */

import { compare, isZero, places, show, showAverage, subtract } from "../lib/decimal.js";

export const VERBS = { buy: "Buy", sell: "Sell" };
const DONE = { buy: "Bought", sell: "Sold" };
const TERMS = {
  gtc: "good until canceled (GTC)", day: "until the day ends, UTC (DAY)",
  ioc: "at once, the rest is canceled (IOC)", fok: "at once and whole, or not at all (FOK)",
};

/** Type, price, time in force and what else an order has, as the ticket shows it above its button. */
export function terms({ type, price, tif, post, digits, quote }) {
  const at = type === "market" ? "Market order" : `Limit ${price ? `${show(price, digits)} ${quote}` : "…"}`;
  return `${at} · ${TERMS[tif]}${post ? " · post-only" : ""}`;
}

/** {text, kind, traded, rests} of the venue's answer to an order. */
export function outcome(answer, instrument) {
  const [base, quote] = answer.symbol.split("-");
  const digits = instrument ? places(instrument.tick) : 0;
  const traded = !isZero(answer.filled_quantity);
  const rests = ["new", "partially_filled"].includes(answer.status);
  const whole = compare(answer.filled_quantity, answer.quantity) >= 0;
  if (!traded && !rests) {
    return { text: `Nothing of ${show(answer.quantity)} ${base} could be traded; the order is canceled`, kind: "warn", traded };
  }
  if (!traded) {
    const waits = answer.stop_price && !answer.triggered ? "waits for its stop price" : "waits in the book";
    return { text: `${show(answer.leaves_quantity)} ${base} ${waits}`, kind: "good", traded };
  }
  const price = `at ${showAverage(answer.average_price, digits)} ${quote}`;
  if (whole) return { text: `${DONE[answer.side]} ${show(answer.filled_quantity)} ${base} ${price}`, kind: "good", traded };
  const left = subtract(answer.quantity, answer.filled_quantity);
  const part = `${DONE[answer.side]} ${show(answer.filled_quantity)} of ${show(answer.quantity)} ${base} ${price}`;
  return rests
    ? { text: `${part}; ${show(answer.leaves_quantity)} ${base} waits in the book`, kind: "good", traded }
    : { text: `${part}; the rest, ${show(left)} ${base}, is canceled`, kind: "warn", traded };
}
