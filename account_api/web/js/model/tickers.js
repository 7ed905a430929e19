/* The last 24 hours of every instrument, asked for while somebody wants them. */

import { Emitter } from "../lib/events.js";

const EVERY_MS = 5_000;
const WAIT_MS = 5_000;

/** Emits `tickers`; `bySymbol` has what GET /v1/tickers said last. */
export class Tickers extends Emitter {
  #wanted = new Set();
  #asking = false;

  constructor() {
    super();
    this.bySymbol = new Map();
    setInterval(() => {
      if (this.#wanted.size && !document.hidden) this.ask();
    }, EVERY_MS);
  }

  /** Somebody looks, or does not look any more. */
  want(who, yes) {
    if (yes === this.#wanted.has(who)) return;
    if (yes) this.#wanted.add(who);
    else this.#wanted.delete(who);
    if (yes) this.ask();
  }

  async ask() {
    if (this.#asking) return;
    this.#asking = true;
    try {
      const answer = await fetch("/v1/tickers", { signal: AbortSignal.timeout(WAIT_MS) });
      if (!answer.ok) return;
      const { tickers } = await answer.json();
      this.bySymbol = new Map(tickers.map((row) => [row.symbol, row]));
      this.emit("tickers");
    } catch {
      // Asked again in a moment; until then the last answer is shown.
    } finally {
      this.#asking = false;
    }
  }
}
