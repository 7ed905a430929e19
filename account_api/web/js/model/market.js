/* Public data of the instrument that is looked at: book, trades, candles, the last day. */

import { places } from "../lib/decimal.js";
import { Emitter } from "../lib/events.js";
import { bandAround, bandOf } from "./band.js";
import { Book } from "./book.js";
import { Candles } from "./candles.js";

const TRADES_KEPT = 60;
const CANDLES_ASKED = 500;
const DAY_MS = 86_400_000;
const RESYNC_MS = 1_000;
const PROBE_MS = 4_000;
const PROBE_WAIT_MS = 4_000;

/**
 * Emits `instruments`, `selected`, `book`, `trades`, `candles`, `day`, `band`, and `stale` when what is
 * shown begins or ceases to be what is so.
 */
export class Market extends Emitter {
  #stream;
  #resyncAt = 0;
  #synced = false;
  #answers = true;
  /** Of the newest trade, until the venue tells its own. */
  #band = null;

  /** `first` is the instrument to begin with, where there is such a one. */
  constructor(stream, first = "") {
    super();
    this.first = first;
    this.#stream = stream;
    this.instruments = new Map();
    this.symbol = null;
    this.interval = "1m";
    this.resynced = 0;
    this.#clear();
    stream.on("message", (message) => this.#take(message));
    stream.on("open", () => this.#resume());
    stream.on("closed", () => this.#sync(false));
    stream.on("engine", () => this.#judge());
    setInterval(() => this.#probe(), PROBE_MS);
  }

  #why = "Connecting to the venue …";

  get instrument() {
    return this.instruments.get(this.symbol);
  }

  get last() {
    return this.trades[0]?.price ?? this.instrument?.last_price ?? null;
  }

  /** {low, high} of the prices that the venue takes at this moment; null where there is no band. */
  get band() {
    return this.#band ?? (this.instrument ? bandOf(this.instrument) : null);
  }

  /** Why what is shown may not be so any more; "" while it is. */
  get stale() {
    return this.#why;
  }

  /** Look at another instrument. */
  async select(symbol) {
    if (symbol === this.symbol || !this.instruments.has(symbol)) return;
    const before = this.symbol;
    this.symbol = symbol;
    this.#clear();
    this.#sync(false);
    this.emit("selected");
    if (before) await this.#quietly("unsubscribe", { symbols: [before] });
    await this.#follow();
  }

  /** Show candles of another interval. */
  async setInterval(interval) {
    this.interval = interval;
    await this.#loadCandles();
  }

  /** Ask for candles before the oldest that is known, unless there are none. */
  async loadOlder() {
    const { candles } = this;
    const oldest = candles.list[0];
    if (!oldest || candles.loading || candles.complete) return;
    candles.loading = true;
    const found = await this.#load("get_candles", {
      interval: candles.interval, end: oldest.time, limit: CANDLES_ASKED,
    });
    candles.loading = false;
    if (!found || candles !== this.candles) return;
    candles.complete = found.candles.length < CANDLES_ASKED;
    if (!found.candles.length) return;
    candles.prepend(found.candles);
    this.emit("candles");
  }

  #sync(yes) {
    this.#synced = yes;
    this.#answers ||= yes;
    this.#judge();
  }

  #judge() {
    const { state, engine } = this.#stream;
    const why = state === "closed"
      ? "The connection to the venue is lost. Prices and orders are as they were before."
      : state !== "open" ? "Connecting to the venue …"
      : !engine || !this.#answers ? "The venue's engine does not answer. Prices are as they were before."
      : !this.#synced ? "Waiting for the book …" : "";
    if (why === this.#why) return;
    this.#why = why;
    this.emit("stale");
  }

  /** A stream may beat its heart in front of an engine that stands still: that one is asked. */
  async #probe() {
    if (this.#stream.state !== "open" || !this.symbol || document.hidden) return;
    const late = setTimeout(() => this.#heardOf(false), PROBE_WAIT_MS);
    try {
      await this.#stream.request("get_book", { symbol: this.symbol, depth: 1 });
      this.#heardOf(true);
      if (this.instrument.band) await this.#again();
    } catch (problem) {
      if (problem.code === "engine_unavailable") this.#heardOf(false);
    } finally {
      clearTimeout(late);
    }
  }

  /** An operator may move a band without a trade. */
  async #again() {
    const { instruments } = await this.#stream.request("get_instruments");
    this.instruments = new Map(instruments.map((row) => [row.symbol, row]));
    this.#band = null;
    this.emit("band");
  }

  #heardOf(engine) {
    this.#answers = engine;
    this.#judge();
  }

  #clear() {
    const scale = this.instrument ? places(this.instrument.tick) : 0;
    this.book = new Book(this.symbol, scale);
    this.trades = [];
    this.candles = new Candles(this.interval);
    this.day = null;
    this.#band = null;
  }

  async #resume() {
    try {
      const { instruments } = await this.#stream.request("get_instruments");
      this.instruments = new Map(instruments.map((row) => [row.symbol, row]));
      this.#band = null;
      this.emit("instruments");
      const wanted = this.instruments.has(this.first) ? this.first : instruments[0]?.symbol;
      if (!this.symbol) await this.select(wanted);
      else await this.#follow();
    } catch (problem) {
      if (problem.code !== "lost" && problem.code !== "offline") this.#later(() => this.#resume());
    }
  }

  /** The engine may be away for a moment; what was asked is asked again. */
  #later(act) {
    setTimeout(act, RESYNC_MS);
  }

  async #follow() {
    await this.#quietly("subscribe", { symbols: [this.symbol] });
    await Promise.all([this.#loadTrades(), this.#loadCandles(), this.#loadDay()]);
  }

  async #quietly(op, params) {
    try {
      await this.#stream.request(op, { channels: ["book", "trades"], ...params });
    } catch (problem) {
      // A connection that ended resumes by itself, and begins with this again.
      const { symbol } = this;
      if (problem.code !== "lost" && problem.code !== "offline" && op === "subscribe") {
        this.#later(() => this.symbol === symbol && !this.#synced && this.#follow());
      }
    }
  }

  #take(message) {
    const { channel, data } = message;
    if (channel === "book" && data.symbol === this.symbol) {
      const good = this.book.apply(message);
      if (!good) this.#resync();
      this.emit("book");
      if (good !== this.#synced || !this.#answers) this.#sync(good);
    } else if (channel === "heartbeat") {
      if (!this.#synced && this.book.seq !== null) this.#resync();
    } else if (channel === "trades") {
      const fresh = data.filter((trade) => trade.symbol === this.symbol);
      this.#trades(fresh);
    }
  }

  #trades(fresh) {
    const known = new Set(this.trades.map((trade) => trade.trade_id));
    const added = fresh.filter((trade) => !known.has(trade.trade_id));
    if (!added.length) return;
    this.trades = [...added, ...this.trades]
      .sort((one, other) => other.trade_id - one.trade_id)
      .slice(0, TRADES_KEPT);
    if (this.#synced && this.instrument) this.#band = bandAround(this.instrument, this.trades[0].price);
    for (const trade of added) {
      this.candles.trade(trade);
      this.day?.trade(trade);
    }
    this.emit("trades");
    this.emit("candles");
  }

  #resync() {
    const now = performance.now();
    if (now < this.#resyncAt) return;
    this.#resyncAt = now + RESYNC_MS;
    this.resynced += 1;
    this.#stream
      .request("snapshot", { channels: ["book"], symbols: [this.symbol] })
      .catch(() => {});
  }

  async #load(op, params) {
    const symbol = this.symbol;
    try {
      const found = await this.#stream.request(op, { symbol, ...params });
      return symbol === this.symbol ? found : null;
    } catch {
      return null; // The history may be away; what the stream tells is shown all the same.
    }
  }

  async #loadTrades() {
    const found = await this.#load("get_trades", { limit: TRADES_KEPT });
    if (found) this.#trades(found.trades);
  }

  async #loadCandles() {
    const interval = this.interval;
    const found = await this.#load("get_candles", { interval, limit: CANDLES_ASKED });
    if (!found || interval !== this.interval) return;
    const candles = new Candles(interval);
    candles.load(found.candles, found.as_of_seq);
    for (const trade of [...this.trades].reverse()) candles.trade(trade);
    this.candles = candles;
    this.emit("candles");
  }

  async #loadDay() {
    const start = Math.floor(this.#stream.now() - DAY_MS);
    const found = await this.#load("get_candles", { interval: "1h", limit: 25, start });
    if (!found) return;
    this.day = new Candles("1h");
    this.day.load(found.candles, found.as_of_seq);
    for (const trade of [...this.trades].reverse()) this.day.trade(trade);
    this.emit("day");
  }
}
