/* What an order is and what became of it, in words. */

import { compare, isZero, places, show, showAverage, subtract } from "../lib/decimal.js";
import { momentAndZone } from "../lib/time.js";
import { isOpen, waitsForStop } from "../model/orders.js";

export const VERBS = { buy: "Buy", sell: "Sell" };
export const TYPES = { limit: "Limit", market: "Market", stop: "Stop", stop_limit: "Stop limit" };
const DONE = { buy: "Bought", sell: "Sold" };
const TERMS = {
  gtc: "good until canceled (GTC)", day: "until the day ends, UTC (DAY)",
  ioc: "at once, the rest is canceled (IOC)", fok: "at once and whole, or not at all (FOK)",
};
export const STP = {
  none: "none", cancel_newest: "cancel newest", cancel_oldest: "cancel oldest",
  cancel_both: "cancel both", decrement: "decrement",
};

/** The states of an order by the names that OrdStatus(39) has in FIX. */
export const STATUS = {
  new: "New", partially_filled: "Partially filled", filled: "Filled", canceled: "Canceled",
  expired: "Expired", rejected: "Rejected",
};

/** Why an order ended without being filled. */
const REASONS = {
  requested: "on request", mass_cancel: "cancel all", ioc_remainder: "IOC remainder",
  fok_unfillable: "FOK not fillable whole", market_remainder: "nothing left in the book",
  self_trade: "self-trade prevention", disconnect: "cancel on disconnect",
  expired: "time in force", dead_man_switch: "dead man's switch", operator: "by the venue",
  min_qty: "minimum quantity not there", stop_unfunded: "no money when triggered",
  sweep_too_large: "too many orders to sweep", unfunded: "no money left",
  post_only: "post-only would have traded", price_band: "end of the price band",
};

/** Where an order stands: the name of its state, and why or what it waits for. */
export function standing(order) {
  const state = STATUS[order.status] ?? order.status;
  if (order.status === "rejected") return order.text ? `${state}: ${order.text}` : state;
  if (waitsForStop(order)) return `${state}, stop not triggered`;
  if (isOpen(order) && order.stop_price) return `${state}, triggered`;
  const reason = order.cancel_reason;
  if (order.status === "expired" || isOpen(order) || !reason) return state;
  return `${state}: ${REASONS[reason] ?? reason.replaceAll("_", " ")}`;
}

/** The price of an order, and under it the stop price that it waits for or has waited for. */
export function prices(order, digits) {
  const limit = order.price ? show(order.price, digits) : "market";
  return order.stop_price ? `${limit}\nstop ${show(order.stop_price, digits)}` : limit;
}

/** Type, price, time in force and what else an order has, as the ticket shows it above its button. */
export function terms({ type, price, stop, tif, expires, post, display, stp, digits, quote, base }) {
  const at = (value) => (value ? `${show(value, digits)} ${quote}` : "…");
  const what = type === "market" ? "Market order" : type === "limit" ? `Limit ${at(price)}`
    : `Stop ${at(stop)}, then ${type === "stop" ? "market order" : `limit ${at(price)}`}`;
  const until = tif !== "gtd" ? TERMS[tif] : expires ? `until ${momentAndZone(expires)} (GTD)` : "until … (GTD)";
  return [
    what, until, ...(post ? ["post-only"] : []),
    ...(display ? [`shows ${show(display)} ${base} at a time`] : []),
    ...(stp ? [`self-trade prevention: ${STP[stp]}`] : []),
  ].join(" · ");
}

/** {text, kind, traded, rests} of the venue's answer to an order. */
export function outcome(answer, instrument) {
  const [base, quote] = answer.symbol.split("-");
  const digits = instrument ? places(instrument.tick) : 0;
  const traded = !isZero(answer.filled_quantity);
  const rests = isOpen(answer);
  const whole = compare(answer.filled_quantity, answer.quantity) >= 0;
  if (!traded && !rests) {
    return { text: `Nothing of ${show(answer.quantity)} ${base} could be traded; the order is canceled`, kind: "warn", traded };
  }
  if (!traded) {
    const waits = waitsForStop(answer)
      ? `waits for a trade at ${show(answer.stop_price, digits)} ${quote}` : "waits in the book";
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
