/* The order book: the best levels of both sides, their sums, and where own orders are. Levels can
   be shown together, by steps of more than a tick: a bid with the step below it, an ask with the
   one above, so that what is shown at a price can be had there. */

import { $, make, rows, say } from "../lib/dom.js";
import {
  add, compare, divideDown, multiply, percentUp, pixels, places, show, subtract,
} from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";

const ROW = 22;
const LEVELS_MIN = 5;
const LEVELS_MAX = 40;
/** Ticks in a step. */
const STEPS = ["1", "10", "100", "1000", "10000", "100000"];
/** Steps are offered up to this part of the price. */
const STEP_MOST = "0.02";

/** `take` is called with the price and side of a level that was clicked. */
export function mountBook(market, account, take) {
  /** Ticks in the step of each instrument, as they were chosen. */
  const chosen = new Map();
  const group = $("#book-group");
  const draw = oncePerFrame(() => {
    if (!market.instrument) return;
    offer(group, market, chosen.get(market.symbol) ?? "1");
    drawBook(market, account, group.value);
  });
  group.addEventListener("change", () => {
    chosen.set(market.symbol, group.selectedOptions[0].dataset.ticks);
    draw();
  });
  new ResizeObserver(draw).observe($("#asks"));
  for (const type of ["book", "selected", "trades", "stale"]) market.on(type, draw);
  for (const type of ["orders", "signed"]) account.on(type, draw);
  for (const body of [$("#asks"), $("#bids")]) {
    body.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row && !market.stale) take(row.dataset.price, body.dataset.side);
    });
  }
}

/** The steps that make sense at this price. */
function offer(select, market, ticks) {
  const { tick } = market.instrument;
  const price = market.book.best("buy")?.price ?? market.last ?? "0";
  const steps = STEPS.filter((count) => count === "1" || count === ticks ||
    compare(multiply(tick, count), multiply(price, STEP_MOST)) <= 0);
  const key = `${market.symbol} ${steps.join(" ")}`;
  if (select.dataset.key !== key) {
    select.dataset.key = key;
    select.replaceChildren(...steps.map((count) => {
      const step = multiply(tick, count);
      return make("option", { value: step, textContent: show(step), "data-ticks": count });
    }));
  }
  const wanted = multiply(tick, ticks);
  if (select.value !== wanted) select.value = wanted;
}

/** The step at which a level is shown. */
export function stepOf(price, step, side) {
  const below = divideDown(price, "1", step);
  return side === "buy" || compare(below, price) === 0 ? below : add(below, step);
}

/** The best levels of a side, so many of them, shown together by steps. */
export function grouped(levels, step, side, count) {
  const found = [];
  for (const level of levels) {
    const price = stepOf(level.price, step, side);
    const last = found.at(-1);
    if (last?.price === price) last.quantity = add(last.quantity, level.quantity);
    else if (found.length === count) break;
    else found.push({ price, quantity: level.quantity });
  }
  return found;
}

function drawBook(market, account, step) {
  const { book, instrument } = market;
  say($("#book-quote"), instrument.quote);
  say($("#book-base"), instrument.base);
  const own = new Set(
    account.orders.open()
      .filter((order) => order.symbol === market.symbol && order.price)
      .map((order) => `${order.side}:${stepOf(order.price, step, order.side)}`),
  );
  const room = Math.floor($("#asks").clientHeight / ROW);
  const count = Math.min(Math.max(room, LEVELS_MIN), LEVELS_MAX);
  const asks = summed(grouped(book.asks.levels, step, "sell", count));
  const bids = summed(grouped(book.bids.levels, step, "buy", count));
  const most = [asks.at(-1)?.sum, bids.at(-1)?.sum]
    .filter(Boolean)
    .reduce((one, other) => (compare(one, other) > 0 ? one : other), "0");
  const style = {
    digits: places(step), lots: places(instrument.lot), most: pixels(most), own,
  };
  // The worst ask is on top, so that the best prices meet in the middle.
  drawSide($("#asks"), asks.reverse(), "sell", style);
  drawSide($("#bids"), bids, "buy", style);
  say($("#spread"), middle(market, places(instrument.tick)));
  say($("#book-note"), market.stale ? "not live" : book.status === "halted" ? "halted: cancels only" : "");
}

function summed(levels) {
  let sum = "0";
  return levels.map((level) => {
    sum = add(sum, level.quantity);
    return { ...level, sum };
  });
}

function drawSide(body, levels, side, { digits, lots, most, own }) {
  rows(body, levels, (level) => level.price, build, (row, level) => {
    const [price, quantity, sum] = row.children;
    row.dataset.price = level.price;
    say(price.firstChild, show(level.price, digits));
    say(quantity, show(level.quantity, lots));
    say(sum, show(level.sum, lots));
    row.style.setProperty("--share", `${most ? (pixels(level.sum) / most) * 100 : 0}%`);
    row.classList.toggle("own", own.has(`${side}:${level.price}`));
    row.title = own.has(`${side}:${level.price}`) ? "You have an order here" : "";
  });
}

function build() {
  const price = make("button", { type: "button", tabIndex: -1 });
  return make("tr", {}, make("td", {}, price), make("td"), make("td"));
}

function middle(market, digits) {
  const bid = market.book.best("buy");
  const ask = market.book.best("sell");
  if (!bid && !ask && market.stale) return "–";
  if (!bid && !ask) return "Empty: yours can be the first order";
  if (!bid || !ask) return market.last ? `Last ${show(market.last, digits)}` : "One side is empty";
  const spread = subtract(ask.price, bid.price);
  const half = multiply(add(ask.price, bid.price), "0.5");
  const share = compare(spread, "0") > 0 ? ` (${percentUp(spread, half)} %)` : "";
  return `${show(half, digits)} · spread ${show(spread, digits)}${share}`;
}
