/* Sending an order, and finding out what became of it where the answer is lost. */

import { pause } from "../lib/dom.js";
import { Problem } from "./stream.js";

/** An order that comes later than this is refused by the venue: nobody waits for it any more. */
const ORDER_MS = 8_000;
/** By how much the clock of the venue may be known wrongly. */
const CLOCK_MS = 2_000;
const OUTCOME_MS = 60_000;
const OUTCOME_EVERY_MS = 700;

/**
 * Send an order. Where the answer is lost, `ask` asks the venue for the order by its client order
 * id, by HTTP, which needs no stream, until it is known what became of it; `onLost` is called when
 * that begins. The order is not sent again: the market has moved since. Rejects with Problem.
 */
export async function send(stream, ask, order, onLost) {
  const until = stream.now() + ORDER_MS;
  try {
    const expires = new Date(until).toISOString();
    return await stream.request("create_order", { ...order, expires_at: expires });
  } catch (problem) {
    if (problem.outcome !== "unknown") throw problem;
  }
  onLost();
  return outcome(stream, ask, order.client_order_id, until + CLOCK_MS);
}

/** The order as it is. After `until` it can no longer arrive. */
async function outcome(stream, ask, id, until) {
  const giveUp = performance.now() + OUTCOME_MS;
  while (performance.now() < giveUp) {
    const asked = stream.now();
    try {
      return await ask(id);
    } catch (problem) {
      if (problem.code === "unknown_order" && asked > until) {
        throw new Problem({
          code: "not_received", outcome: "not_applied",
          detail: "The order did not reach the venue: nothing was done. Send it again if you still want it.",
        });
      }
    }
    await pause(OUTCOME_EVERY_MS);
  }
  throw new Problem({
    code: "lost", outcome: "unknown",
    detail: `The venue does not say what became of the order (client order id ${id}).`,
  });
}
