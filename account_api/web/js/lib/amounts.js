/* Amounts of money as people read them: cents for what has cents, the exact figure in the title. */

import { isZero, parse, round, show } from "./decimal.js";
import { say } from "./dom.js";

const CURRENCIES = new Set(Intl.supportedValuesOf("currency"));

/** How many decimal places the money of a country has; null for any other asset. */
export function currencyDigits(asset) {
  if (!CURRENCIES.has(asset)) return null;
  return new Intl.NumberFormat("en", { style: "currency", currency: asset })
    .resolvedOptions().maximumFractionDigits;
}

/**
 * An amount without its unit. `toward` is the side of a cent to which it is rounded: "down" for
 * what is there, "up" for what is to be paid, "even" for anything else.
 */
export function amount(value, asset, toward = "even") {
  const digits = currencyDigits(asset);
  if (value === null || value === undefined || digits === null) return show(value);
  const rounded = round(value, digits, toward);
  if (isZero(rounded) && !isZero(value)) {
    return `${value.startsWith("-") ? "> −" : "< "}${show(smallest(digits), digits)}`;
  }
  return show(rounded, digits);
}

function smallest(digits) {
  return digits ? `0.${"1".padStart(digits, "0")}` : "1";
}

/** Show an amount with its unit in an element; what was rounded away is in its title. */
export function sayAmount(element, value, asset, { toward = "even", about = "" } = {}) {
  const shown = value === null || value === undefined ? "–" : `${about}${amount(value, asset, toward)} ${asset}`;
  say(element, shown);
  const digits = currencyDigits(asset);
  const cut = digits !== null && value && parse(value).scale > digits;
  element.title = cut ? `${show(value)} ${asset}` : "";
}
