/* The orders of an account that the page knows: all that are open, and those that closed lately. */

const OPEN = new Set(["new", "partially_filled"]);
const CLOSED_KEPT = 40;

export const isOpen = (order) => OPEN.has(order.status);

export class Orders {
  #byId = new Map();

  /** Take what a message of this time says of an order; what it does not say stays as it was. */
  put(order, time) {
    const before = this.#byId.get(order.order_id);
    const triggered = before?.triggered || order.triggered || order.event === "triggered";
    const merged = { created_at: time, ...before, ...order, triggered, updated_at: time };
    this.#byId.set(order.order_id, merged);
    const closed = [...this.#byId.values()].filter((one) => !isOpen(one));
    closed.sort((one, other) => (one.updated_at < other.updated_at ? 1 : -1));
    for (const one of closed.slice(CLOSED_KEPT)) this.#byId.delete(one.order_id);
  }

  /** These are open, and no others. */
  replaceOpen(orders, time) {
    for (const order of this.open()) this.#byId.delete(order.order_id);
    for (const order of orders) this.put(order, time);
  }

  open() {
    return [...this.#byId.values()].filter(isOpen);
  }

  /** Open orders first, then those that closed lately; newest first. */
  list() {
    const rank = (order) => (isOpen(order) ? 0 : 1);
    return [...this.#byId.values()].sort(
      (one, other) =>
        rank(one) - rank(other) || (one.created_at < other.created_at ? 1 : -1) ||
        Number(BigInt(other.order_id) - BigInt(one.order_id)),
    );
  }
}
