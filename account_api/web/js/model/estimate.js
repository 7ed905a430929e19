/* What an order would find in the book as it is shown: exact, level by level, best first. */

import {
  add, compare, divideDown, isZero, multiply, percentUp, subtract, text, parse,
} from "../lib/decimal.js";

const least = (one, other) => (compare(one, other) <= 0 ? one : other);

/** What the book shows of open orders of one side of an instrument, by price. */
export function ownAt(orders, symbol, side) {
  const found = new Map();
  for (const order of orders) {
    if (order.symbol !== symbol || order.side !== side || !order.price) continue;
    if (order.stop_price && !order.triggered) continue;
    const shown = order.display_quantity
      ? least(order.display_quantity, order.leaves_quantity) : order.leaves_quantity;
    const before = found.get(order.price) ?? "0";
    found.set(order.price, add(before, shown));
  }
  return found;
}

/**
 * What an order takes at once. `wanted` is a quantity, or with `money` an amount of the quote
 * asset, of which each level gives as many lots as it pays for; `reaches` says whether a price
 * is good enough.
 *
 * Gives `filled`, `value` (both "0" for nothing), `best` and `worst` price, and `whole`:
 * whether all that is wanted was there.
 */
export function walk(levels, wanted, { money = null, lot = null, reaches = () => true } = {}) {
  const taken = { filled: "0", value: "0", best: null, worst: null, whole: false };
  let left = wanted ?? money;
  for (const level of levels) {
    if (isZero(left) || !reaches(level.price)) break;
    const quantity = money === null
      ? least(level.quantity, left)
      : least(level.quantity, divideDown(left, level.price, lot));
    if (isZero(quantity)) {
      taken.whole = money !== null;
      break;
    }
    const value = multiply(level.price, quantity);
    taken.best ??= level.price;
    taken.worst = level.price;
    taken.filled = add(taken.filled, quantity);
    taken.value = add(taken.value, value);
    left = subtract(left, money === null ? quantity : value);
    if (money !== null && compare(quantity, level.quantity) < 0) {
      taken.whole = true;
      break;
    }
  }
  taken.whole ||= isZero(left);
  return taken;
}

/** The most that money buys at the levels when a fee comes on top, in whole lots. */
export function affordable(levels, money, rate, lot) {
  let left = money;
  let found = "0";
  for (const level of levels) {
    const cost = multiply(level.price, add("1", rate));
    const quantity = least(level.quantity, divideDown(left, cost, lot));
    found = add(found, quantity);
    left = subtract(left, multiply(cost, quantity));
    if (compare(quantity, level.quantity) < 0) break;
  }
  return divideDown(found, "1", lot);
}

/** By how many percent the average is worse than the best price, rounded up; null for nothing. */
export function slippage({ filled, value, best }) {
  if (best === null) return null;
  const ideal = multiply(best, filled);
  const off = subtract(value, ideal);
  const { units, scale } = parse(off);
  return percentUp(units < 0n ? text(-units, scale) : off, ideal);
}
