/* The networks of the venue's assets, asked for once and again until they are known. */

import { Emitter } from "../lib/events.js";

const AGAIN_MS = 3_000;
const WAIT_MS = 5_000;

class Networks extends Emitter {
  list = [];
  #asked = false;

  /** Ask for them, if nobody has. Emits `networks` when they are there. */
  async load() {
    if (this.#asked) return;
    this.#asked = true;
    try {
      const answer = await fetch("/v1/networks", { signal: AbortSignal.timeout(WAIT_MS) });
      if (!answer.ok) throw new Error("not now");
      this.list = (await answer.json()).networks.filter((one) => !one.suspended);
      this.emit("networks");
    } catch {
      this.#asked = false;
      setTimeout(() => this.load(), AGAIN_MS);
    }
  }
}

export const networks = new Networks();
