/* What an amount is worth in another asset, by the last prices: exact but for the one division at
   the end, which is cut. A figure to look at, not one to pay. */

import { divide, multiply } from "../lib/decimal.js";

/** Steps from `asset` to `unit` over one or two instruments: [{symbol, price, inverse}]; null: none. */
export function path(asset, unit, instruments, lastOf) {
  if (asset === unit) return [];
  const steps = (from) => instruments.flatMap(({ symbol, base, quote }) => {
    const price = lastOf(symbol);
    if (!price) return [];
    if (base === from) return [{ symbol, price, inverse: false, to: quote }];
    return quote === from ? [{ symbol, price, inverse: true, to: base }] : [];
  });
  const first = steps(asset);
  const direct = first.find((step) => step.to === unit);
  if (direct) return [direct];
  for (const step of first) {
    const second = steps(step.to).find((one) => one.to === unit);
    if (second) return [step, second];
  }
  return null;
}

/** The amount in the unit to which the steps lead, cut to so many places. */
export function worth(amount, steps, places) {
  let above = amount;
  let below = "1";
  for (const { price, inverse } of steps) {
    if (inverse) below = multiply(below, price);
    else above = multiply(above, price);
  }
  return divide(above, below, places);
}
