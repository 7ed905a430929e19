/* Price chart: candles, and their volume below, by TradingView's Lightweight Charts. It is zoomed
   and moved by mouse, finger, keys and buttons; the pointer or the arrow keys read a candle out. */

import { $, make, moment, say } from "../lib/dom.js";
import { pixels, places, show } from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";
import { isUtc, zoneName } from "../lib/time.js";
import { INTERVALS } from "../model/candles.js";
import { axisText, colours, onColours } from "./canvas.js";

const LIBRARY = "/web/vendor/lightweight-charts/lightweight-charts.js";
const SHOWN = 110;
const SHOWN_LEAST = 30;
/** How near to the oldest candle the view may come before older ones are asked for. */
const EDGE = 15;
const ZOOM = 1.4;
const DAY_MS = 86_400_000;

/** Draws when the library is there, which is not waited for. */
export function mountChart(market) {
  const box = $("#chart");
  mountIntervals(market);
  describe(market, box);
  for (const type of ["candles", "selected"]) market.on(type, () => describe(market, box));
  import(LIBRARY).then(
    (library) => new Chart(library, market, box),
    () => say($("#chart-empty"), "The chart could not be loaded. Reload the page to try again."),
  );
}

function mountIntervals(market) {
  const box = $("#intervals");
  for (const interval of Object.keys(INTERVALS)) {
    const radio = make("input", { type: "radio", name: "interval", value: interval });
    radio.checked = interval === market.interval;
    radio.addEventListener("change", () => market.setInterval(interval));
    box.append(make("label", {}, radio, make("span", { textContent: interval })));
  }
}

function describe(market, box) {
  const { list, interval } = market.candles;
  const last = list.at(-1);
  const about = last ? `last price ${last.close}` : "no trade yet";
  box.setAttribute("aria-label", `Price chart of ${market.symbol}, candles of ${interval}, ${about}. ` +
    "Arrow keys read candles, plus and minus zoom, Home shows the newest.");
  $("#chart-empty").hidden = Boolean(last);
}

class Chart {
  #market;
  #box;
  #chart;
  #prices;
  #volumes;
  #drawn = { candles: null, first: null, count: 0 };
  #chosen = null;

  constructor(library, market, box) {
    this.#market = market;
    this.#box = box;
    this.#chart = library.createChart(box, {
      autoSize: true,
      // Its logo inserts a style element, which this page forbids; the link to it is below.
      layout: { attributionLogo: false, fontSize: 11, panes: { enableResize: false } },
      crosshair: { mode: library.CrosshairMode.Normal },
      rightPriceScale: { borderVisible: false },
      timeScale: {
        borderVisible: false, rightOffset: 3, minBarSpacing: 1.5,
        tickMarkFormatter: (time, kind) => this.#mark(time * 1000, kind),
      },
      localization: { timeFormatter: (time) => this.#moment(time * 1000) },
    });
    this.#prices = this.#chart.addSeries(library.CandlestickSeries, { borderVisible: false });
    this.#volumes = this.#chart.addSeries(library.HistogramSeries, {
      priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false,
    }, 1);
    const [above, below] = this.#chart.panes();
    above.setStretchFactor(4);
    below.setStretchFactor(1);
    this.#paint();
    onColours(() => this.#paint());
    const draw = oncePerFrame(() => this.#draw());
    for (const type of ["candles", "selected"]) market.on(type, draw);
    addEventListener("zonechange", () => {
      this.#chart.applyOptions({});
      this.#read(this.#chosen);
    });
    this.#chart.subscribeCrosshairMove(({ logical, point }) => this.#read(point ? logical : this.#chosen));
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < EDGE) market.loadOlder();
    });
    box.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("blur", () => this.#choose(null));
    for (const [id, factor] of [["#chart-in", 1 / ZOOM], ["#chart-out", ZOOM]]) {
      $(id).addEventListener("click", () => this.#zoom(factor));
    }
    $("#chart-newest").addEventListener("click", () => this.#newest());
    this.#draw();
  }

  // Where.

  /** Days are the venue's, in UTC; anything shorter is in the zone that was chosen. */
  #moment(instant) {
    return this.#market.candles.interval === "1d" ? new Date(instant).toISOString().slice(0, 10) : moment(instant);
  }

  #mark(instant, kind) {
    const { interval } = this.#market.candles;
    const inUtc = isUtc() || interval === "1d";
    const zone = inUtc ? { timeZone: "UTC" } : {};
    const at = new Date(instant);
    const midnight = interval === "1d" || (inUtc ? instant % DAY_MS === 0 : at.getHours() + at.getMinutes() === 0);
    if (!midnight) return at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", ...zone });
    return at.toLocaleDateString("en-GB", kind === 0 ? { year: "numeric", ...zone }
      : kind === 1 ? { month: "short", ...zone } : { day: "numeric", month: "short", ...zone });
  }

  #range() {
    const { list } = this.#market.candles;
    return this.#chart.timeScale().getVisibleLogicalRange() ?? { from: list.length - SHOWN, to: list.length };
  }

  #newest() {
    const count = this.#market.candles.list.length;
    const shown = Math.min(Math.max(count + 4, SHOWN_LEAST), SHOWN);
    const to = Math.max(count + 3, shown - 1);
    this.#chart.timeScale().setVisibleLogicalRange({ from: to - shown, to });
    this.#chart.priceScale("right").applyOptions({ autoScale: true });
  }

  #zoom(factor) {
    const { from, to } = this.#range();
    // Around the newest candle where it is in sight, else around the middle.
    const last = this.#market.candles.list.length - 1;
    const still = last >= from && last <= to ? last : (from + to) / 2;
    this.#chart.timeScale().setVisibleLogicalRange({
      from: still - (still - from) * factor, to: still + (to - still) * factor,
    });
  }

  // What.

  #paint() {
    const all = colours();
    this.#chart.applyOptions({
      layout: {
        background: { color: all.card }, textColor: all.muted, fontFamily: all.family,
        panes: { separatorColor: all.line, separatorHoverColor: all.line },
      },
      grid: { vertLines: { color: all.line }, horzLines: { color: all.line } },
      crosshair: { vertLine: { color: all.muted, labelBackgroundColor: all.accent }, horzLine: { color: all.muted, labelBackgroundColor: all.accent } },
    });
    this.#prices.applyOptions({
      upColor: all.buy, wickUpColor: all.buy, downColor: all.sell, wickDownColor: all.sell, priceLineColor: all.accent,
    });
    this.#drawn.candles = null;
    this.#draw();
  }

  #draw() {
    const { candles, instrument } = this.#market;
    const { list } = candles;
    const same = this.#drawn.candles === candles && this.#drawn.first === list[0]?.time &&
      this.#drawn.count <= list.length && this.#drawn.count > 0;
    const all = colours();
    const price = (one) => ({
      time: one.time / 1000, open: pixels(one.open), high: pixels(one.high), low: pixels(one.low), close: pixels(one.close),
    });
    const volume = (one) => ({
      time: one.time / 1000, value: pixels(one.volume),
      color: pixels(one.close) >= pixels(one.open) ? all["buy-soft"] : all["sell-soft"],
    });
    if (same) {
      for (const one of list.slice(this.#drawn.count - 1)) {
        this.#prices.update(price(one));
        this.#volumes.update(volume(one));
      }
    } else {
      if (instrument) {
        const precision = places(instrument.tick);
        this.#prices.applyOptions({
          priceFormat: { type: "custom", minMove: pixels(instrument.tick), formatter: (value) => axisText(value, precision) },
        });
      }
      this.#prices.setData(list.map(price));
      this.#volumes.setData(list.map(volume));
      const daily = candles.interval === "1d";
      this.#chart.applyOptions({ timeScale: { timeVisible: !daily } });
      const other = `${this.#market.symbol} ${candles.interval}`;
      if (this.#drawn.about !== other && list.length) {
        this.#newest();
        this.#drawn.about = other;
      }
    }
    this.#drawn = { about: this.#drawn.about, candles, first: list[0]?.time, count: list.length };
    say($("#chart-zone"), candles.interval === "1d" ? "days in UTC" : zoneName());
    if (this.#chosen !== null) this.#read(this.#chosen);
  }

  // Reading.

  #key(event) {
    const act = {
      ArrowLeft: () => this.#step(-1), ArrowRight: () => this.#step(1), "+": () => this.#zoom(1 / ZOOM),
      "-": () => this.#zoom(ZOOM), Home: () => this.#newest(),
    }[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act();
  }

  #step(by) {
    const count = this.#market.candles.list.length;
    if (!count) return;
    const index = Math.min(Math.max((this.#chosen ?? count) + by, 0), count - 1);
    const { from, to } = this.#range();
    const off = index < from ? index - from - 1 : index > to ? index - to + 1 : 0;
    if (off) this.#chart.timeScale().setVisibleLogicalRange({ from: from + off, to: to + off });
    this.#choose(index);
  }

  #choose(index) {
    this.#chosen = index;
    const candle = this.#market.candles.list[index ?? -1];
    if (candle) this.#chart.setCrosshairPosition(pixels(candle.close), candle.time / 1000, this.#prices);
    else this.#chart.clearCrosshairPosition();
    this.#read(index);
  }

  #read(index) {
    const { candles, instrument } = this.#market;
    const candle = candles.list[index ?? -1];
    const digits = instrument ? places(instrument.tick) : 0;
    say($("#chart-read"), candle
      ? `${this.#moment(candle.time)}  O ${show(candle.open, digits)}  H ${show(candle.high, digits)}  ` +
        `L ${show(candle.low, digits)}  C ${show(candle.close, digits)}  V ${show(candle.volume)}`
      : "");
    $("#chart-read").title = this.#box.contains(document.activeElement) || candle ? "Open, high, low, close, volume" : "";
  }
}
