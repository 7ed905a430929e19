/* Candles of one interval, kept up by the trades that come after them. */

import { add, compare, multiply } from "../lib/decimal.js";

export const INTERVALS = {
  "1m": 60_000, "5m": 300_000, "15m": 900_000, "1h": 3_600_000, "4h": 14_400_000,
  "1d": 86_400_000,
};
/** So many that weeks of minutes fit. */
const KEPT = 20_000;

export class Candles {
  constructor(interval) {
    this.interval = interval;
    this.list = [];
    this.lastTrade = 0;
  }

  /** Begin with what GET /v1/candles shows; trades up to `seq` are in it. */
  load(rows, seq) {
    this.list = rows.map((row) => ({ ...row, time: Date.parse(row.start) }));
    this.seq = seq;
  }

  /** Put candles before the oldest one. */
  prepend(rows) {
    this.list = [...rows.map((row) => ({ ...row, time: Date.parse(row.start) })), ...this.list].slice(-KEPT);
  }

  /** Take in a public trade, unless it is contained already. */
  trade(trade) {
    if (trade.seq <= (this.seq ?? 0) || trade.trade_id <= this.lastTrade) return;
    this.lastTrade = trade.trade_id;
    const step = INTERVALS[this.interval];
    const time = Math.floor(Date.parse(trade.time) / step) * step;
    const last = this.list.at(-1);
    const { price, quantity } = trade;
    if (!last || time > last.time) {
      this.list.push({
        time, open: price, high: price, low: price, close: price, volume: quantity,
        quote_volume: multiply(price, quantity), trades: 1,
      });
      if (this.list.length > KEPT) this.list.shift();
    } else {
      if (compare(price, last.high) > 0) last.high = price;
      if (compare(price, last.low) < 0) last.low = price;
      last.close = price;
      last.volume = add(last.volume, quantity);
      last.trades += 1;
    }
  }
}
