/* Exact decimals. Amounts are text from end to end; in between they are BigInt and a scale.
   Nothing here returns a float except `pixels`, which is for positions on a screen. */

const FORM = /^(-?)([0-9]{1,40})(?:\.([0-9]{1,30}))?$/;

/** Decimal text as {units, scale}: "0.50" is 50n at scale 2. Null when it is not decimal text. */
export function parse(text) {
  const found = FORM.exec(text ?? "");
  if (!found) return null;
  const [, sign, whole, fraction = ""] = found;
  const units = BigInt(whole + fraction);
  return { units: sign ? -units : units, scale: fraction.length };
}

/** Units at a scale as decimal text without superfluous zeros. */
export function text(units, scale) {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const fraction = scale ? digits.slice(-scale).replace(/0+$/, "") : "";
  return (units < 0n ? "-" : "") + whole + (fraction ? `.${fraction}` : "");
}

function aligned(first, second) {
  const one = parse(first);
  const other = parse(second);
  if (!one || !other) throw new RangeError(`not decimal text: ${first} ${second}`);
  const scale = Math.max(one.scale, other.scale);
  return [at(one, scale), at(other, scale), scale];
}

function at(value, scale) {
  return value.units * 10n ** BigInt(scale - value.scale);
}

/** Decimal text as units at a given scale, which must be fine enough. */
export function units(value, scale) {
  return at(parse(value), scale);
}

export function add(first, second) {
  const [one, other, scale] = aligned(first, second);
  return text(one + other, scale);
}

export function subtract(first, second) {
  const [one, other, scale] = aligned(first, second);
  return text(one - other, scale);
}

export function multiply(first, second) {
  const one = parse(first);
  const other = parse(second);
  return text(one.units * other.units, one.scale + other.scale);
}

/** The most whole steps that are not more than value ÷ divisor, as text. */
export function divideDown(value, divisor, step) {
  const [one, other] = aligned(value, multiply(divisor, step));
  return other === 0n ? "0" : multiply(text(one / other, 0), step);
}

/** value ÷ divisor cut to so many places: a figure to look at, not one to pay. */
export function divide(value, divisor, scale) {
  const [one, other] = aligned(value, divisor);
  if (other === 0n) return null;
  return text((one * 10n ** BigInt(scale)) / other, scale);
}

/** part ÷ whole in percent with two places, rounded up, as text like "0.13". */
export function percentUp(part, whole) {
  const [one, other] = aligned(part, whole);
  if (other === 0n) return null;
  return text((one * 10000n + other - 1n) / other, 2);
}

/** -1, 0 or 1. */
export function compare(first, second) {
  const [one, other] = aligned(first, second);
  return one < other ? -1 : one > other ? 1 : 0;
}

export function isZero(value) {
  return parse(value).units === 0n;
}

/** Whether a value is a whole number of steps. */
export function isMultiple(value, step) {
  const [one, other] = aligned(value, step);
  return one % other === 0n;
}

/** How many decimal places a step has: "0.01" has 2, "1" and "1.0" have none. */
export function places(step) {
  return (text(parse(step).units, parse(step).scale).split(".")[1] ?? "").length;
}

/** For people: thousands apart, at least `least` decimal places. */
export function show(value, least = 0) {
  if (value === null || value === undefined) return "–";
  const [whole, fraction = ""] = value.split(".");
  const padded = fraction.padEnd(least, "0");
  return whole.replace(/\B(?=([0-9]{3})+$)/g, ",") + (padded ? `.${padded}` : "");
}

/** Rounded to so many places: "up" and "down" by size, "even" to the nearest, half away from zero. */
export function round(value, scale, toward = "even") {
  const exact = parse(value);
  if (exact.scale <= scale) return value;
  const step = 10n ** BigInt(exact.scale - scale);
  const size = exact.units < 0n ? -exact.units : exact.units;
  const more = { down: 0n, even: step / 2n, up: step - 1n }[toward];
  const rounded = (size + more) / step;
  return text(exact.units < 0n ? -rounded : rounded, scale);
}

/** For people: an average, which may have many places, rounded to two more than the price has. */
export function showAverage(value, digits) {
  return value === null || value === undefined ? "–" : show(round(value, digits + 2), digits);
}

/** (to − from) ÷ from in hundredths of a percent, as text like "+1.25 %". */
export function change(from, to) {
  const [one, other] = aligned(from, to);
  if (one === 0n) return "";
  const points = ((other - one) * 10000n) / one;
  const sign = points < 0n ? "−" : "+";
  const size = points < 0n ? -points : points;
  return `${sign}${size / 100n}.${(size % 100n).toString().padStart(2, "0")} %`;
}

/** A float, good for pixels and for nothing else. */
export function pixels(value) {
  return Number(value);
}
