/* What the order that is filled in would find and cost, and what is unusual about it. */

import { $, say } from "../lib/dom.js";
import {
  add, compare, divide, isZero, multiply, percentUp, places, roundUp, show, subtract,
} from "../lib/decimal.js";
import { ownAt, slippage, walk } from "../model/estimate.js";

const FEE_PLACES = 8;
/** Percent beyond which an order is asked about: of its price from the market, of its slippage. */
const FAR = "5";
const SLIPPED = "1";
const PERCENT = "0.01";
const OTHER = { buy: "sell", sell: "buy" };

/** What a draft would take from the book at once; null while it has no number or no price. */
export function find({ number, byMoney, levels, instrument, type, price, side }) {
  if (!number || isZero(number)) return null;
  if (byMoney) return walk(levels, null, { money: number, lot: instrument.lot });
  if (type === "market") return walk(levels, number);
  if (!price) return null;
  const sign = side === "buy" ? 1 : -1;
  return walk(levels, number, { reaches: (level) => compare(level, price) * sign <= 0 });
}

/** Value, average price, slippage, fee and what is available, below the fields. */
export function drawSums(draft, found, fees, balances) {
  const { instrument, side, price, number, type } = draft;
  const { quote } = instrument;
  const market = type === "market";
  let value = null;
  let dearest = null;
  if (found && market) value = dearest = isZero(found.filled) ? null : found.value;
  else if (found) {
    value = multiply(price, number);
    // A sale may bring more than its limit, and then its fee is higher too.
    const rest = multiply(price, subtract(number, found.filled));
    dearest = side === "buy" ? value : add(found.value, rest);
  }
  const rate = market || !fees || compare(fees.taker, fees.maker) > 0 ? fees?.taker : fees.maker;
  say($("#sum-value-title"), market ? "Value" : side === "buy" ? "Value, at most" : "Value, at least");
  say($("#sum-value"), value ? `${market ? "about " : ""}${show(value)} ${quote}` : "–");
  const roughly = market || side === "sell";
  say($("#sum-fee-title"), roughly ? "Fee" : "Fee, at most");
  say($("#sum-fee"), dearest && rate
    ? `${roughly ? "about " : ""}${show(roundUp(multiply(dearest, rate), FEE_PLACES))} ${quote}` : "–");
  const off = market && found ? slippage(found) : null;
  $("#sum-average-row").hidden = $("#sum-slippage-row").hidden = off === null;
  if (off !== null) {
    const digits = places(instrument.tick);
    say($("#sum-average"), `about ${show(divide(found.value, found.filled, digits), digits)} ${quote}`);
    say($("#sum-slippage"), `${off} %`);
    $("#sum-slippage").classList.toggle("warning", compare(off, SLIPPED) > 0);
  }
  const asset = side === "buy" ? quote : instrument.base;
  const money = balances.get(asset);
  say($("#sum-available"), money ? `${show(money.available)} ${asset}` : "–");
}

/** What is unusual about a draft: {text, asks}, where `asks` wants a question before it is sent. */
export function warnings(draft, found, openOrders) {
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
  const distance = far(draft);
  if (distance) said.push({ text: distance, asks: true });
  const sign = side === "buy" ? 1 : -1;
  const own = [...ownAt(openOrders, draft.symbol, OTHER[side]).keys()];
  if (found.worst && own.some((price) => compare(price, found.worst) * sign <= 0)) {
    said.push({ text: "Orders of your own are among what it would meet.", asks: false });
  }
  return said;
}

/** An order that does not wait and for which there is not enough. */
function lacking({ type, tif, touch, byMoney, side, instrument }, found) {
  const waits = type !== "market" && !["ioc", "fok"].includes(tif);
  if (waits || !touch || found.whole) return "";
  const { base, quote } = instrument;
  const worth = byMoney ? `, worth ${show(found.value)} ${quote},` : "";
  const where = type === "market" ? "" : " at this price or better";
  const there = `Only ${show(found.filled)} ${base}${worth} is ${side === "buy" ? "on offer" : "wanted"}${where}`;
  return tif === "fok" ? `${there}: the order would be canceled as a whole.`
    : `${there}: the rest would be canceled.`;
}

/** A limit that is worse than the market by more than anybody means it to be. */
function far({ price, touch, last, side }) {
  const market = touch ?? last;
  if (!price || !market || isZero(market)) return "";
  const buys = side === "buy";
  const worse = buys ? subtract(price, market) : subtract(market, price);
  if (compare(worse, multiply(market, multiply(FAR, PERCENT))) <= 0) return "";
  const what = !touch ? "the last price" : buys ? "the best offer" : "the best bid";
  return `This price is ${percentUp(worse, market)} % ${buys ? "above" : "below"} ${what}, ${show(market)}.`;
}
