/* The prices that an instrument's band lets pass: so far above and below a reference, both ends
   included, rounded inwards to whole ticks (rules P of the matching). */

import { add, compare, divideDown, multiply, subtract } from "../lib/decimal.js";

/** {low, high} around a price; null where the instrument has no band or there is no reference. */
export function bandAround({ band, tick }, reference) {
  if (!band || !reference) return null;
  const end = multiply(reference, subtract("1", band));
  const below = divideDown(end, "1", tick);
  return {
    low: compare(below, end) === 0 ? below : add(below, tick),
    high: divideDown(multiply(reference, add("1", band)), "1", tick),
  };
}

/** The band of an instrument as the venue told it. */
export function bandOf({ band, band_low: low, band_high: high }) {
  return band && low && high ? { low, high } : null;
}
