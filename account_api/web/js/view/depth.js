/* Depth chart: how much waits up to each price, on both sides of the middle. */

import { $, say } from "../lib/dom.js";
import { add, pixels, places, show } from "../lib/decimal.js";
import { axisText, sharpCanvas, ticks } from "./canvas.js";

const BOTTOM = 18;
const RIGHT = 62;
const REACH_MAX = 0.2;
const MOST = 0.97;
const BULK = 0.75;
const WIDER = 3;
const ZOOM = 1.5;
const TICKS_LEAST = 4;

export function mountDepth(market) {
  const canvas = $("#depth");
  /** `reach`: how far from the middle is shown, where somebody chose that; `pointer`: a place on the screen. */
  const view = { pointer: null, reach: null, shown: 0 };
  const again = sharpCanvas(canvas, (...on) => paint(market, view, canvas, ...on));
  for (const type of ["book", "selected"]) market.on(type, again);
  market.on("selected", () => Object.assign(view, { reach: null, pointer: null }));
  const point = (pointer) => {
    view.pointer = pointer;
    again();
  };
  const zoom = (factor) => {
    view.reach = view.shown * factor;
    again();
  };
  canvas.addEventListener("pointermove", (event) => point(event.offsetX));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("blur", () => point(null));
  canvas.addEventListener("dblclick", () => zoom(NaN));
  canvas.addEventListener("wheel", (event) => {
    if (!event.deltaY) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1 / ZOOM : ZOOM);
  }, { passive: false });
  const width = () => canvas.clientWidth - RIGHT;
  const step = (by) => point(Math.min(Math.max((view.pointer ?? width() / 2) + by * 8, 0), width()));
  const keys = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1), "+": () => zoom(1 / ZOOM), "-": () => zoom(ZOOM),
    Home: () => zoom(NaN),
  };
  canvas.addEventListener("keydown", (event) => {
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act();
  });
  $("#depth-in").addEventListener("click", keys["+"]);
  $("#depth-out").addEventListener("click", keys["-"]);
}

/** What is shown: what was chosen, within what makes sense, or else what shows almost all. */
function reachOf(view, book, middle, tick) {
  if (!view.reach) return Math.min(span(book, middle), middle * REACH_MAX) || middle * 0.01;
  const far = [book.bids.levels, book.asks.levels]
    .map((levels) => (levels.length ? Math.abs(pixels(levels.at(-1).price) - middle) : 0));
  return Math.max(Math.min(view.reach, Math.max(...far) * 1.1), tick * TICKS_LEAST);
}

/** Cumulated levels within reach of the middle: price for the screen, sum as text. */
function cumulated(levels, middle, reach) {
  let sum = "0";
  const found = [];
  for (const level of levels) {
    const price = pixels(level.price);
    if (Math.abs(price - middle) > reach) break;
    sum = add(sum, level.quantity);
    found.push({ price, text: level.price, sum, size: pixels(sum) });
  }
  return found;
}

function paint(market, view, canvas, context, width, height, colours) {
  const { book, instrument } = market;
  context.font = colours.font;
  const bid = book.best("buy");
  const ask = book.best("sell");
  if (!instrument || (!bid && !ask)) {
    context.fillStyle = colours.muted;
    context.textAlign = "center";
    context.fillText("The book is empty.", width / 2, height / 2);
    canvas.setAttribute("aria-label", "Depth chart: the book is empty");
    say($("#depth-read"), "");
    return;
  }
  const middle = bid && ask ? (pixels(bid.price) + pixels(ask.price)) / 2 : pixels((bid ?? ask).price);
  const reach = reachOf(view, book, middle, pixels(instrument.tick));
  view.shown = reach;
  const bids = cumulated(book.bids.levels, middle, reach);
  const asks = cumulated(book.asks.levels, middle, reach);
  const most = Math.max(bids.at(-1)?.size ?? 0, asks.at(-1)?.size ?? 0) * 1.12 || 1;
  const plot = height - BOTTOM;
  const wide = width - RIGHT;
  const x = (price) => ((price - middle + reach * 1.04) / (reach * 2.08)) * wide;
  const y = (size) => plot - (size / most) * (plot - 4);
  axis(context, { middle, reach, x, width: wide, plot, digits: places(instrument.tick) }, colours);
  scale(context, { most, y, width: wide, plot }, colours);
  side(context, bids, 0, { x, y, plot }, colours.buy, colours["buy-soft"]);
  side(context, asks, wide, { x, y, plot }, colours.sell, colours["sell-soft"]);
  readout(view, { bids, asks, x, plot, instrument, middle }, context, colours);
  canvas.setAttribute(
    "aria-label",
    `Depth chart of ${market.symbol}: ${bids.at(-1)?.sum ?? 0} wanted and ` +
      `${asks.at(-1)?.sum ?? 0} offered near the middle. Arrow keys read it, plus and minus zoom.`,
  );
}

/** How far from the middle a share of the quantity of some levels lies. */
function within(levels, middle, share) {
  const total = levels.reduce((sum, level) => sum + pixels(level.quantity), 0);
  let seen = 0;
  const edge = levels.find((level) => (seen += pixels(level.quantity)) >= total * share);
  return edge ? Math.abs(pixels(edge.price) - middle) : 0;
}

/**
 * How far the chart reaches from the middle: to almost all of what waits, and yet an order far
 * away from all others, or a side that has no other, does not make the market a vertical line.
 */
export function span(book, middle) {
  const far = [book.bids.levels, book.asks.levels]
    .map((levels) => Math.min(within(levels, middle, MOST), WIDER * within(levels, middle, BULK)))
    .filter((reach) => reach > 0);
  return far.length ? Math.min(Math.max(...far), WIDER * Math.min(...far)) : 0;
}

function axis(context, { middle, reach, x, width, plot, digits }, colours) {
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const value of ticks(middle - reach, middle + reach, Math.max(2, width / 110))) {
    context.fillStyle = colours.line;
    context.fillRect(Math.round(x(value)), 0, 1, plot);
    context.fillStyle = colours.muted;
    const half = context.measureText(axisText(value, digits)).width / 2 + 2;
    if (x(value) > half && x(value) < width - half) {
      context.fillText(axisText(value, digits), x(value), plot + BOTTOM / 2);
    }
  }
}

/** How much a height means, at the right. */
function scale(context, { most, y, width, plot }, colours) {
  context.textAlign = "left";
  context.textBaseline = "middle";
  const marks = ticks(0, most, Math.max(1, plot / 34)).filter((value) => value > 0 && y(value) > 8);
  const digits = Math.max(0, -Math.floor(Math.log10(marks[0] ?? 1)));
  for (const value of marks) {
    context.fillStyle = colours.line;
    context.fillRect(0, Math.round(y(value)), width, 1);
    context.fillStyle = colours.muted;
    context.fillText(axisText(value, digits), width + 6, y(value));
  }
}

function side(context, points, edge, { x, y, plot }, stroke, fill) {
  if (!points.length) return;
  context.beginPath();
  context.moveTo(x(points[0].price), plot);
  let before = plot;
  for (const point of points) {
    context.lineTo(x(point.price), before);
    before = y(point.size);
    context.lineTo(x(point.price), before);
  }
  context.lineTo(edge, before);
  context.strokeStyle = stroke;
  context.lineWidth = 1.5;
  context.stroke();
  context.lineTo(edge, plot);
  context.closePath();
  context.fillStyle = fill;
  context.fill();
}

function readout(view, { bids, asks, x, plot, instrument, middle }, context, colours) {
  if (view.pointer === null) {
    say($("#depth-read"), "");
    return;
  }
  const onBids = view.pointer < x(middle);
  const points = (onBids ? bids : asks).filter((point) =>
    onBids ? x(point.price) >= view.pointer : x(point.price) <= view.pointer);
  const point = points.at(-1);
  context.fillStyle = colours.muted;
  context.fillRect(view.pointer, 0, 1, plot);
  say($("#depth-read"), point
    ? `${show(point.sum)} ${instrument.base} ${onBids ? "wanted down to" : "offered up to"} ` +
      show(point.text, places(instrument.tick))
    : "");
}
