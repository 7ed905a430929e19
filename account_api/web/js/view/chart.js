/* Price chart: candles and their volume; the pointer or the arrow keys read one out. */

import { $, make, moment, say } from "../lib/dom.js";
import { pixels, places, show } from "../lib/decimal.js";
import { INTERVALS } from "../model/candles.js";
import { axisText, sharpCanvas, ticks } from "./canvas.js";

const SLOT = 9;
const RIGHT = 76;
const BOTTOM = 18;
const VOLUME_SHARE = 0.18;

export function mountChart(market) {
  const canvas = $("#chart");
  const view = { chosen: null };
  const again = sharpCanvas(canvas, (...on) => paint(market, view, ...on));
  for (const type of ["candles", "selected"]) market.on(type, again);
  market.on("candles", () => describe(market, canvas));
  mountIntervals(market, view);

  const choose = (index) => {
    view.chosen = index;
    read(market, view);
    again();
  };
  canvas.addEventListener("pointermove", (event) => {
    const shown = visible(market, canvas.clientWidth);
    const index = Math.floor((event.offsetX - start(shown, canvas.clientWidth)) / SLOT);
    choose(index >= 0 && index < shown.length ? index : null);
  });
  canvas.addEventListener("pointerleave", () => choose(null));
  canvas.addEventListener("blur", () => choose(null));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const count = visible(market, canvas.clientWidth).length;
    const from = view.chosen ?? count;
    choose(Math.min(Math.max(from + step, 0), count - 1));
  });
}

function mountIntervals(market, view) {
  const box = $("#intervals");
  for (const interval of Object.keys(INTERVALS)) {
    const radio = make("input", { type: "radio", name: "interval", value: interval });
    radio.checked = interval === market.interval;
    radio.addEventListener("change", () => {
      view.chosen = null;
      market.setInterval(interval);
    });
    box.append(make("label", {}, radio, make("span", { textContent: interval })));
  }
}

function visible(market, width) {
  const count = Math.max(1, Math.floor((width - RIGHT) / SLOT));
  return market.candles.list.slice(-count);
}

/** Where the oldest candle begins: the newest one is always at the right. */
function start(shown, width) {
  return width - RIGHT - shown.length * SLOT;
}

function describe(market, canvas) {
  const last = market.candles.list.at(-1);
  const about = last ? `last price ${last.close}` : "no trade yet";
  canvas.setAttribute(
    "aria-label", `Price chart of ${market.symbol}, candles of ${market.candles.interval}, ${about}`,
  );
}

function read(market, view) {
  const candle = visible(market, $("#chart").clientWidth)[view.chosen ?? -1];
  const digits = market.instrument ? places(market.instrument.tick) : 0;
  say($("#chart-read"), candle
    ? `${moment(candle.time)}  O ${show(candle.open, digits)}  H ${show(candle.high, digits)}  ` +
      `L ${show(candle.low, digits)}  C ${show(candle.close, digits)}  V ${show(candle.volume)}`
    : "");
}

function paint(market, view, context, width, height, colours) {
  const shown = visible(market, width);
  context.font = colours.font;
  if (!shown.length || !market.instrument) {
    context.fillStyle = colours.muted;
    context.textAlign = "center";
    context.fillText("No trade yet: the first one draws the first candle.", width / 2, height / 2);
    return;
  }
  const digits = places(market.instrument.tick);
  const high = Math.max(...shown.map((candle) => pixels(candle.high)));
  const low = Math.min(...shown.map((candle) => pixels(candle.low)));
  const room = (high - low || high * 0.001 || 1) * 0.08;
  const plot = height - BOTTOM;
  const area = plot * (1 - VOLUME_SHARE);
  const y = (price) => 6 + ((high + room - price) / (high - low + 2 * room)) * (area - 6);
  const left = start(shown, width);
  grid(context, { low, high, y, width, digits, plot, shown, left }, colours);
  candles(context, shown, left, y, plot, colours);
  lastLine(context, shown.at(-1), y, width, digits, colours);
  if (view.chosen !== null && shown[view.chosen]) {
    context.fillStyle = colours.muted;
    context.fillRect(left + view.chosen * SLOT + SLOT / 2 - 0.5, 0, 1, plot);
  }
}

function grid(context, { low, high, y, width, digits, plot, shown, left }, colours) {
  const last = y(pixels(shown.at(-1).close));
  context.textAlign = "left";
  context.textBaseline = "middle";
  for (const value of ticks(low, high, Math.max(2, plot / 60))) {
    context.fillStyle = colours.line;
    context.fillRect(0, Math.round(y(value)), width - RIGHT, 1);
    if (Math.abs(y(value) - last) < 15) continue; // The label of the last price is there.
    context.fillStyle = colours.muted;
    context.fillText(axisText(value, digits), width - RIGHT + 6, y(value));
  }
  context.fillStyle = colours.muted;
  context.textAlign = "center";
  const every = Math.ceil(90 / SLOT);
  for (let index = shown.length - 1 - Math.floor(every / 2); index >= 0; index -= every) {
    const when = new Date(shown[index].time);
    const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    context.fillText(time, left + index * SLOT + SLOT / 2, plot + BOTTOM / 2);
  }
}

function candles(context, shown, start, y, plot, colours) {
  const most = Math.max(...shown.map((candle) => pixels(candle.volume)));
  shown.forEach((candle, index) => {
    const [open, close] = [pixels(candle.open), pixels(candle.close)];
    const rises = close >= open;
    const left = start + index * SLOT;
    context.fillStyle = rises ? colours["buy-soft"] : colours["sell-soft"];
    const size = (pixels(candle.volume) / most) * plot * VOLUME_SHARE * 0.9;
    context.fillRect(left + 1, plot - size, SLOT - 2, size);
    context.fillStyle = rises ? colours.buy : colours.sell;
    const top = y(pixels(candle.high));
    context.fillRect(left + SLOT / 2 - 0.5, top, 1, Math.max(1, y(pixels(candle.low)) - top));
    const body = y(Math.max(open, close));
    context.fillRect(left + 1.5, body, SLOT - 3, Math.max(1, y(Math.min(open, close)) - body));
  });
}

function lastLine(context, candle, y, width, digits, colours) {
  const place = y(pixels(candle.close));
  context.strokeStyle = colours.accent;
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(0, place);
  context.lineTo(width - RIGHT, place);
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = colours.accent;
  context.fillRect(width - RIGHT + 1, place - 9, RIGHT - 1, 18);
  context.fillStyle = colours.card;
  context.textAlign = "left";
  context.fillText(show(candle.close, digits), width - RIGHT + 6, place);
}
