/* What is wrong with what was typed, in words, before the venue says so. */

import { compare, isMultiple, isZero, parse, show } from "../lib/decimal.js";

/** What is wrong with a number; "" when it can be used. A `step` and a `most` bound it where given. */
export function fault(text, step, most, what) {
  if (!text) return `Enter ${/^[aeiou]/.test(what) ? "an" : "a"} ${what}.`;
  if (!parse(text) || text.startsWith("-")) return `Write the ${what} in digits with at most one point, like 0.5.`;
  if (isZero(text)) return `The ${what} must be more than zero.`;
  if (step && !isMultiple(text, step)) return `The ${what} must be a multiple of ${step}.`;
  if (most && compare(text, most) > 0) return `The ${what} is at most ${show(most)}.`;
  return "";
}

/** What is wrong with a quantity of an instrument. */
export function quantityFault(text, instrument) {
  return fault(text, instrument.lot, instrument.max_quantity, "quantity") ||
    (compare(text, instrument.min_quantity) < 0 ? `The quantity is at least ${instrument.min_quantity}.` : "");
}

/** What is wrong with a price of an instrument. */
export function priceFault(text, instrument, what = "price") {
  return fault(text, instrument.tick, instrument.max_price, what);
}

/** What is wrong with how much of an order the book shows; none is given where all of it shows. */
export function displayFault(text, quantity, instrument) {
  if (!text) return "";
  const wrong = fault(text, instrument.lot, null, "quantity shown");
  if (wrong || !parse(quantity)) return wrong;
  return compare(text, quantity) > 0 ? "No more can be shown than the whole quantity." : "";
}

/** What is wrong with the end of an order, an instant or null. */
export function endFault(instant, now) {
  if (!instant) return "Enter the date and the time at which the order ends.";
  return Date.parse(instant) <= now ? "The order must end in the future." : "";
}
