/* The bar above: instrument, last day, connection and its figures, theme. */

import { $, make, say } from "../lib/dom.js";
import { add, change, compare, places, show } from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";

export function mountStatus(stream, market) {
  const select = $("#symbol");
  say($("#environment"), document.documentElement.dataset.environment);

  market.on("instruments", () => {
    select.replaceChildren(
      ...[...market.instruments.keys()].map((symbol) =>
        make("option", { value: symbol, textContent: symbol })),
    );
    select.value = market.symbol ?? "";
  });
  market.on("selected", () => {
    select.value = market.symbol;
    say($("#last"), "–");
  });
  select.addEventListener("change", () => market.select(select.value));

  const drawLast = oncePerFrame(() => drawTicker(market));
  for (const type of ["trades", "day", "selected"]) market.on(type, drawLast);

  const draw = oncePerFrame(() => drawStatus(stream, market));
  for (const type of ["open", "closed", "figures"]) stream.on(type, draw);
  // At once and not with the next frame: a page that is not seen has none.
  const judge = () => {
    document.body.dataset.stale = market.stale ? "yes" : "no";
    document.body.dataset.stream = stream.state;
    drawStatus(stream, market);
  };
  market.on("stale", judge);
  judge();
}

function drawTicker(market) {
  const { last, day, trades, instrument } = market;
  if (!instrument) return;
  const digits = places(instrument.tick);
  const element = $("#last");
  say(element, show(last, digits));
  const moved = trades.length > 1 ? compare(trades[0].price, trades[1].price) : 0;
  if (moved) element.dataset.moved = moved > 0 ? "up" : "down";
  document.title = last ? `${show(last, digits)} ${market.symbol} · Tandem` : "Tandem";
  const candles = day?.list ?? [];
  const most = (name, sign) =>
    candles.map((candle) => candle[name])
      .reduce((one, other) => (compare(one, other) * sign >= 0 ? one : other));
  const percent = candles.length && last ? change(candles[0].open, last) : "–";
  const cell = $("#day-change");
  say(cell, percent);
  cell.dataset.moved = percent.startsWith("+") ? "up" : percent.startsWith("−") ? "down" : "";
  say($("#day-high"), candles.length ? show(most("high", 1), digits) : "–");
  say($("#day-low"), candles.length ? show(most("low", -1), digits) : "–");
  const volume = candles.reduce((sum, candle) => add(sum, candle.volume), "0");
  say($("#day-volume"), candles.length ? `${show(volume)} ${instrument.base}` : "–");
}

function drawStatus(stream, market) {
  const element = $("#status");
  const { perSecond, roundTrip, seq } = stream.figures;
  const halted = market.book?.status === "halted";
  element.dataset.state = stream.state !== "open" ? stream.state
    : market.stale ? "stale" : halted ? "halted" : "open";
  if (market.stale) {
    say($("#status-text"), stream.state === "closed" ? "Connection lost, trying again …"
      : stream.state === "connecting" ? "Connecting …" : "Not live");
    element.title = `${market.stale} ${stream.url}`;
    return;
  }
  const trip = roundTrip === null ? "" : ` · ${roundTrip < 10 ? roundTrip.toFixed(1) : Math.round(roundTrip)} ms`;
  say($("#status-text"), `${halted ? "Halted" : "Live"}${trip} · ${perSecond}/s`);
  element.title =
    `Round trip to the venue and back, messages per second; engine sequence ${seq}` +
    (market.resynced ? `; book resynchronised ${market.resynced} times` : "");
}

/** Light, dark, or as the system has it. */
export function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("tandem-theme", root.dataset.theme);
  } catch {
    // Chosen for this page only, then.
  }
  dispatchEvent(new Event("themechange"));
}
