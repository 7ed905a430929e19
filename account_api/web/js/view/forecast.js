/* What the order that is filled in would find and cost, and what is unusual about it. */

import { $, say } from "../lib/dom.js";
import { add, compare, divide, isZero, multiply, percentUp, places, show, subtract } from "../lib/decimal.js";
import { amount, sayAmount } from "../lib/amounts.js";
import { ownAt, slippage, walk } from "../model/estimate.js";

/** Percent beyond which an order is asked about: of its price from the market, of its slippage. */
const FAR = "5";
const SLIPPED = "1";
const PERCENT = "0.01";
const OTHER = { buy: "sell", sell: "buy" };

export const isStop = (type) => type === "stop" || type === "stop_limit";

/** What a draft would take from the book at once; null while it has no number or no price. */
export function find({ number, byMoney, levels, instrument, type, price, side, band }) {
  if (!number || isZero(number) || isStop(type)) return null;
  // Without a price of its own an order trades up to the end of the band.
  const end = type !== "market" ? price : side === "buy" ? band?.high : band?.low;
  if (type !== "market" && !price) return null;
  const sign = side === "buy" ? 1 : -1;
  const reaches = (level) => !end || compare(level, end) * sign <= 0;
  return byMoney ? walk(levels, null, { money: number, lot: instrument.lot, reaches })
    : walk(levels, number, { reaches });
}

/** What an order is worth, and what its fee is taken from: at the most, or about so much. */
function worth({ type, price, stop, number, side }, found) {
  if (type === "market") {
    const value = found && !isZero(found.filled) ? found.value : null;
    return { value, dearest: value };
  }
  const at = type === "stop" ? stop : price;
  if (!at || !number) return { value: null, dearest: null };
  const value = multiply(at, number);
  if (side === "buy" || !found) return { value, dearest: value };
  // A sale may bring more than its limit, and then its fee is higher too.
  return { value, dearest: add(found.value, multiply(at, subtract(number, found.filled))) };
}

/** Value, average price, slippage, fee and what is available, below the fields. */
export function drawSums(draft, found, fees, balances) {
  const { instrument, side, type } = draft;
  const { quote } = instrument;
  const market = type === "market";
  const { value, dearest } = worth(draft, found);
  const uncertain = market || type === "stop";
  const rate = uncertain || !fees || compare(fees.taker, fees.maker) > 0 ? fees?.taker : fees.maker;
  say($("#sum-value-title"), uncertain ? "Value" : side === "buy" ? "Value, at most" : "Value, at least");
  const down = side === "sell" && !uncertain;
  sayAmount($("#sum-value"), value, quote, { about: uncertain && value ? "about " : "", toward: down ? "down" : "up" });
  const roughly = uncertain || side === "sell";
  say($("#sum-fee-title"), roughly ? "Fee" : "Fee, at most");
  const fee = dearest && rate ? multiply(dearest, rate) : null;
  sayAmount($("#sum-fee"), fee, quote, { about: fee && roughly ? "about " : "", toward: "up" });
  const off = market && found ? slippage(found) : null;
  $("#sum-average-row").hidden = $("#sum-slippage-row").hidden = off === null;
  if (off !== null) {
    const digits = places(instrument.tick);
    say($("#sum-average"), `about ${show(divide(found.value, found.filled, digits), digits)} ${quote}`);
    say($("#sum-slippage"), `${off} %`);
    $("#sum-slippage").classList.toggle("warning", compare(off, SLIPPED) > 0);
  }
  const asset = side === "buy" ? quote : instrument.base;
  sayAmount($("#sum-available"), balances.get(asset)?.available, asset, { toward: "down" });
}

/** What is unusual about a draft: {text, asks}, where `asks` wants a question before it is sent. */
export function warnings(draft, found, openOrders) {
  if (isStop(draft.type)) return stopWarnings(draft);
  if (!found) return [];
  const { side, instrument } = draft;
  const said = [];
  const short = lacking(draft, found);
  if (short) said.push({ text: short, asks: true });
  const off = draft.type === "market" ? slippage(found) : null;
  if (off !== null && compare(off, SLIPPED) > 0) {
    const worst = `${show(found.worst, places(instrument.tick))} ${instrument.quote}`;
    said.push({ text: `The average price is ${off} % worse than the best; the worst is ${worst}.`, asks: true });
  }
  const away = draft.type === "limit" ? distance(draft) : "";
  if (away) said.push({ text: away, asks: true });
  const sign = side === "buy" ? 1 : -1;
  const own = [...ownAt(openOrders, draft.symbol, OTHER[side]).keys()];
  if (found.worst && own.some((price) => compare(price, found.worst) * sign <= 0)) {
    said.push({ text: "Orders of your own are among what it would meet.", asks: false });
  }
  return said;
}

/** What is unusual about a stop: it is reached already, or the limit after it is far from it. */
function stopWarnings({ type, side, stop, price, last, instrument }) {
  if (!stop) return [];
  const said = [];
  const sign = side === "buy" ? 1 : -1;
  const digits = places(instrument.tick);
  if (last && compare(last, stop) * sign >= 0) {
    said.push({ text: `The last price, ${show(last, digits)}, has reached this stop price: it is triggered at once.`, asks: true });
  }
  if (type === "stop_limit" && price) {
    const away = distance({ price, touch: null, last: stop, side, instrument }, "the stop price");
    if (away) said.push({ text: away, asks: true });
    else if (compare(price, stop) * sign < 0) {
      said.push({ text: "Its limit is better than its stop price: when it is triggered it may wait in the book.", asks: false });
    }
  }
  return said;
}

/** An order that does not wait and for which there is not enough. */
function lacking({ type, tif, touch, byMoney, side, instrument, band }, found) {
  const waits = type !== "market" && !["ioc", "fok"].includes(tif);
  if (waits || !touch || found.whole) return "";
  const { base, quote } = instrument;
  const value = byMoney ? `, worth ${amount(found.value, quote, "down")} ${quote},` : "";
  const where = type !== "market" ? " at this price or better" : band ? " within the price band" : "";
  const there = `Only ${show(found.filled)} ${base}${value} is ${side === "buy" ? "on offer" : "wanted"}${where}`;
  return tif === "fok" ? `${there}: the order would be canceled as a whole.`
    : `${there}: the rest would be canceled.`;
}

/** A limit that the band refuses, or that is worse than the market by more than is meant. */
export function distance({ price, touch, last, side, band, instrument }, from = "") {
  if (!price) return "";
  const digits = places(instrument.tick);
  if (band && (compare(price, band.low) < 0 || compare(price, band.high) > 0)) {
    return `The price band takes ${show(band.low, digits)} to ${show(band.high, digits)} at this moment: the venue refuses this price.`;
  }
  const market = touch ?? last;
  if (!market || isZero(market)) return "";
  const buys = side === "buy";
  const worse = buys ? subtract(price, market) : subtract(market, price);
  if (compare(worse, multiply(market, multiply(FAR, PERCENT))) <= 0) return "";
  const what = from || (!touch ? "the last price" : buys ? "the best offer" : "the best bid");
  return `This price is ${percentUp(worse, market)} % ${buys ? "above" : "below"} ${what}, ${show(market, digits)}.`;
}
