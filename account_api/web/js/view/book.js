/* The order book: the best levels of both sides, their sums, and where own orders are. */

import { $, make, rows, say } from "../lib/dom.js";
import { add, compare, multiply, percentUp, pixels, places, show, subtract } from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";

const ROW = 22;
const LEVELS_MIN = 5;
const LEVELS_MAX = 40;

/** `take` is called with the price and side of a level that was clicked. */
export function mountBook(market, account, take) {
  const draw = oncePerFrame(() => drawBook(market, account));
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

function drawBook(market, account) {
  const { book, instrument } = market;
  if (!instrument) return;
  say($("#book-quote"), instrument.quote);
  say($("#book-base"), instrument.base);
  const own = new Set(
    account.orders.open()
      .filter((order) => order.symbol === market.symbol && order.price)
      .map((order) => `${order.side}:${order.price}`),
  );
  const room = Math.floor($("#asks").clientHeight / ROW);
  const count = Math.min(Math.max(room, LEVELS_MIN), LEVELS_MAX);
  const asks = summed(book.asks.levels.slice(0, count));
  const bids = summed(book.bids.levels.slice(0, count));
  const most = [asks.at(-1)?.sum, bids.at(-1)?.sum]
    .filter(Boolean)
    .reduce((one, other) => (compare(one, other) > 0 ? one : other), "0");
  const style = { digits: places(instrument.tick), most: pixels(most), own };
  // The worst ask is on top, so that the best prices meet in the middle.
  drawSide($("#asks"), asks.reverse(), "sell", style);
  drawSide($("#bids"), bids, "buy", style);
  say($("#spread"), middle(market, style.digits));
  say($("#book-note"), market.stale ? "not live" : book.status === "halted" ? "halted: cancels only" : "");
}

function summed(levels) {
  let sum = "0";
  return levels.map((level) => {
    sum = add(sum, level.quantity);
    return { ...level, sum };
  });
}

function drawSide(body, levels, side, { digits, most, own }) {
  rows(body, levels, (level) => level.price, build, (row, level) => {
    const [price, quantity, sum] = row.children;
    row.dataset.price = level.price;
    say(price.firstChild, show(level.price, digits));
    say(quantity, show(level.quantity));
    say(sum, show(level.sum));
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
