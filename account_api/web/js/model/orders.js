/* The orders of an account that the page knows: all that are open, and those that closed lately;
   and, asked for page by page, all that there ever were. */

const OPEN = new Set(["new", "partially_filled"]);
const CLOSED_KEPT = 100;
const PAGE = 100;

export const isOpen = (order) => OPEN.has(order.status);

/** A stop that is in no book yet. */
export const waitsForStop = (order) => Boolean(order.stop_price) && !order.triggered && isOpen(order);

/** Newest first. An order that was refused has no number; its time has to do. */
function newestFirst(one, other) {
  if (one.created_at !== other.created_at) return one.created_at < other.created_at ? 1 : -1;
  return Number(BigInt(other.order_id ?? 0) - BigInt(one.order_id ?? 0));
}

export class Orders {
  #byKey = new Map();

  /** Take what a message of this time says of an order; what it does not say stays as it was. */
  put(order, time) {
    const before = this.#byKey.get(order.order_id);
    const triggered = before?.triggered || order.triggered || order.event === "triggered";
    const ended = ["canceled", "expired"].includes(order.event) ? { cancel_reason: order.reason } : {};
    const merged = {
      created_at: time, ...before, ...order, ...ended, triggered, updated_at: order.updated_at ?? time,
      key: order.order_id,
    };
    this.#byKey.set(merged.key, merged);
    this.#trim();
  }

  /** Take an order that the venue refused: it has no number and little else. */
  refused(message, time) {
    const key = `refused ${message.client_order_id} ${time}`;
    this.#byKey.set(key, { ...message, order_id: null, status: "rejected", created_at: time, updated_at: time, key });
    this.#trim();
  }

  #trim() {
    const closed = [...this.#byKey.values()].filter((one) => !isOpen(one));
    closed.sort((one, other) => (one.updated_at < other.updated_at ? 1 : -1));
    for (const one of closed.slice(CLOSED_KEPT)) this.#byKey.delete(one.key);
  }

  /** These are open, and no others. */
  replaceOpen(orders, time) {
    for (const order of this.open()) this.#byKey.delete(order.key);
    for (const order of orders) this.put(order, time);
  }

  get(key) {
    return this.#byKey.get(key);
  }

  open() {
    return [...this.#byKey.values()].filter(isOpen);
  }

  /** Open orders first, then those that closed lately; newest first. */
  list() {
    const rank = (order) => (isOpen(order) ? 0 : 1);
    return [...this.#byKey.values()].sort(
      (one, other) => rank(one) - rank(other) || newestFirst(one, other),
    );
  }
}

/** What the venue remembers of an account's orders, the newest page first. */
export class OrderHistory {
  #rows = new Map();
  #cursor = null;
  /** Whether the first page is there, and whether there are older ones. */
  loaded = false;
  more = false;

  /** `ask` gives a page of GET /v1/orders. */
  constructor(ask) {
    this.ask = ask;
  }

  /** Ask for the newest page again. What is below it stays as it was. */
  async refresh() {
    const page = await this.#page(null);
    if (!this.loaded) this.#cursor = page.next_cursor;
    this.loaded = true;
    this.more = this.#cursor !== null;
  }

  /** Ask for the next older page. */
  async older() {
    if (!this.more) return;
    const page = await this.#page(this.#cursor);
    this.#cursor = page.next_cursor;
    this.more = this.#cursor !== null;
  }

  async #page(cursor) {
    const page = await this.ask({
      status: "all", sort: "newest", limit: PAGE, ...(cursor ? { cursor } : {}),
    });
    for (const order of page.orders) this.#rows.set(order.order_id, { ...order, key: order.order_id });
    return page;
  }

  /** All of them with what is known better by the stream, newest first. */
  list(orders) {
    const all = new Map(this.#rows);
    for (const order of orders.list()) {
      const before = all.get(order.key);
      if (!before || before.updated_at <= order.updated_at) all.set(order.key, { ...before, ...order });
    }
    return [...all.values()].sort(newestFirst);
  }
}
