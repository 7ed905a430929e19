/* A book from a snapshot and the changes after it, checked against the venue's checksum. */

import { crc32 } from "../lib/crc32.js";
import { units } from "../lib/decimal.js";

const CHECKED_LEVELS = 10;

/** One side; the best level comes first. A level is {units, price, quantity, orders}. */
class Side {
  constructor(isBid, scale) {
    this.levels = [];
    this.scale = scale;
    this.direction = isBid ? -1n : 1n;
  }

  set([price, quantity, orders]) {
    const key = units(price, this.scale);
    const index = this.#find(key);
    const found = this.levels[index]?.units === key;
    if (quantity === "0") {
      if (found) this.levels.splice(index, 1);
    } else {
      this.levels.splice(index, found ? 1 : 0, { units: key, price, quantity, orders });
    }
  }

  #find(key) {
    let low = 0;
    let high = this.levels.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.levels[middle].units - key) * this.direction < 0n) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export class Book {
  /** `scale` is how many decimal places the prices have. */
  constructor(symbol, scale) {
    this.symbol = symbol;
    this.scale = scale;
    this.status = "open";
    this.bids = new Side(true, scale);
    this.asks = new Side(false, scale);
    this.seq = null;
  }

  /** Take in a message. False: something was lost, and a snapshot is needed. */
  apply(message) {
    const { data } = message;
    if (message.type === "snapshot") {
      this.bids = new Side(true, this.scale);
      this.asks = new Side(false, this.scale);
    } else if (this.seq === null || message.prev_seq !== this.seq) return false;
    this.seq = message.seq;
    this.status = data.status;
    for (const level of data.bids) this.bids.set(level);
    for (const level of data.asks) this.asks.set(level);
    return this.checksum() === data.checksum;
  }

  checksum() {
    const parts = [];
    for (let index = 0; index < CHECKED_LEVELS; index += 1) {
      for (const side of [this.bids, this.asks]) {
        const level = side.levels[index];
        if (level) parts.push(level.price, level.quantity);
      }
    }
    return crc32(parts.join(":"));
  }

  best(side) {
    return (side === "buy" ? this.bids : this.asks).levels[0] ?? null;
  }
}
