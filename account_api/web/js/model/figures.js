/* The engine's counters, asked for again and again, as rates and latencies. */

import { Emitter } from "../lib/events.js";

const EVERY_MS = 2_000;
const WINDOW = 15;

/** Emits `figures`; `now` is null where the venue does not tell, or has not twice yet. */
export class Figures extends Emitter {
  #samples = [];

  constructor() {
    super();
    this.now = null;
    this.offered = true;
    setInterval(() => {
      if (!document.hidden && this.offered && this.wanted) this.#ask().catch(() => this.#silent());
    }, EVERY_MS);
    /** Whether somebody looks. */
    this.wanted = false;
  }

  async #ask() {
    const answer = await fetch("/page/figures");
    if (answer.status === 404) this.offered = false;
    if (!answer.ok) {
      this.#silent();
      return;
    }
    const sample = await answer.json();
    const last = this.#samples.at(-1);
    if (last && last.boot_id !== sample.boot_id) this.#samples = [];
    if (last?.at_ms === sample.at_ms) return;
    this.#samples = [...this.#samples, sample].slice(-WINDOW);
    this.now = figuresOf(this.#samples);
    this.emit("figures");
  }

  #silent() {
    this.#samples = [];
    this.now = null;
    this.emit("figures");
  }
}

/** Rates and latencies between the first and the last sample; null where there is one only. */
export function figuresOf(samples) {
  const first = samples[0];
  const last = samples.at(-1);
  const seconds = (last.at_ms - first.at_ms) / 1000;
  if (!(seconds > 0)) return null;
  const rate = (name) => Math.max(0, last[name] - first[name]) / seconds;
  const before = new Map(first.commit_buckets);
  const buckets = last.commit_buckets.map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)]);
  const commits = last.commits - first.commits;
  return {
    seconds,
    transactions: rate("transactions"),
    orders: rate("orders"),
    trades: rate("trades"),
    openOrders: last.open_orders,
    seq: last.seq,
    commits,
    commitMs: commits > 0 ? (last.commit_us - first.commit_us) / commits / 1000 : null,
    commit99Ms: commits > 0 ? bound(buckets, commits * 0.99) : null,
  };
}

/** The upper bound, in ms, of what so many of the commits stayed below; Infinity past the last. */
function bound(buckets, wanted) {
  let sum = 0;
  for (const [us, count] of buckets) {
    sum += count;
    if (sum >= wanted) return us / 1000;
  }
  return Infinity;
}
