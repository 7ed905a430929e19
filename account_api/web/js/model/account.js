/* Whoever is signed in: money, orders, fills, transfers, sessions, all live.

   Every private message has its place in the account's own sequence. The page remembers the
   last one; after a lost connection it asks to go on from there, and where that is not
   possible the venue sends snapshots, which replace what is known. */

import { Emitter } from "../lib/events.js";
import { Signer, Token } from "../lib/sign.js";
import { forget, keep } from "./keep.js";
import { OrderHistory, Orders } from "./orders.js";
import { FILLS_KEPT, all, past } from "./past.js";
import { rest } from "./rest.js";
import { send } from "./sending.js";
import { rate } from "./sessions.js";
import { lost } from "./stream.js";

const CHANNELS = ["orders", "executions", "balances", "transfers"];
const SESSIONS_MS = 5_000;
const AGAIN_MS = 1_000;
const WAIT_BACK_MS = 15_000;

/**
 * Emits `signed` (in, out, or another account), `orders`, `fills`, `balances`, `transfers`,
 * `addresses` (the book has changed), `sessions`.
 */
export class Account extends Emitter {
  #stream;
  #timer = null;
  #leaving = null;
  #restored = false;

  constructor(stream) {
    super();
    this.#stream = stream;
    this.#forget();
    stream.on("message", (message) => this.#take(message));
    stream.on("open", () => this.#resume());
    stream.on("refused", (problem) => {
      forget();
      this.#forget();
      this.emit("signed", problem);
    });
  }

  get signedIn() {
    return this.signer !== null;
  }

  get mayTrade() {
    return this.may("trade");
  }

  /** Whether the key that is signed in has a permission. */
  may(scope) {
    return this.scopes.includes(scope);
  }

  /** Names the account in a request, where it is not the key's own. */
  get named() {
    return this.name === this.home ? {} : { account: this.name };
  }

  /** A path with its query; the account is named where it has to be. */
  target(path, query = {}) {
    const text = new URLSearchParams({ ...query, ...this.named }).toString();
    return text ? `${path}?${text}` : path;
  }

  /** Sign in with a key and its secret, or without a key with a token. Rejects with a reason. */
  async signIn(key, secret) {
    const proof = key
      ? await Signer.of(key, secret, () => this.#stream.now())
      : new Token(secret);
    if (this.signedIn) this.signOut();
    await this.#leaving;
    this.#stream.credentials = () => proof.credentials("GET", "/v1/stream");
    let who;
    try {
      who = await this.#stream.login();
    } catch (problem) {
      this.#stream.credentials = null;
      throw problem;
    }
    this.signer = proof;
    await this.#welcome(who);
  }

  /** Go on as whoever was signed in before a reload; the next connection logs in. */
  restore(kept) {
    const proof = Signer.again(kept, () => this.#stream.now());
    this.signer = proof;
    this.home = kept.account;
    this.name = kept.viewed;
    this.scopes = kept.scopes;
    this.#restored = true;
    this.#stream.credentials = () => proof.credentials("GET", "/v1/stream");
    this.emit("signed");
  }

  /** Look at, and act for, another account of the firm. */
  async use(name) {
    if (name === this.name) return;
    const before = this.named;
    const { signer, home, scopes } = this;
    this.#forget();
    Object.assign(this, { signer, home, scopes });
    this.name = name;
    this.emit("signed");
    await this.#stream.request("unsubscribe", { channels: CHANNELS, ...before }).catch(() => {});
    if (name !== this.name) return;
    await this.#welcome({ account: home, scopes });
  }

  /** Forget the key and everything that it showed. Orders stay as they are. */
  signOut() {
    forget();
    this.#stream.credentials = null;
    this.#forget();
    this.emit("signed");
    this.#leaving = this.#leave();
  }

  /** The venue closes a connection that logs out; the next one is nobody's. */
  async #leave() {
    const back = this.#connected().catch(() => {});
    await this.#stream.request("logout").catch(() => this.#stream.again());
    await back;
  }

  /** Send an order; `onLost` is called when its answer is lost, and it is asked for instead. */
  create(order, onLost) {
    const { signer, named } = this;
    const query = this.target("");
    const ask = (id) => rest(signer, "GET", `/v1/orders/client:${id}${query}`);
    return send(this.#stream, ask, { ...order, ...named }, onLost);
  }

  /** Cancel an order; where the answer is lost, once more on the next connection. */
  async cancel(orderId) {
    const done = (second) => second.code === "too_late";
    await this.#twice("cancel_order", { order: orderId, ...this.named }, done);
  }

  /**
   * Change an open order; gives it as it is then. Where the answer is lost it is asked for again
   * under the same request id, which changes nothing twice.
   */
  replace(orderId, changes) {
    const id = `web-${crypto.randomUUID()}`;
    return this.#twice("replace_order", { order: orderId, request_id: id, ...changes, ...this.named });
  }

  async #twice(op, params, done = () => false) {
    try {
      return await this.#stream.request(op, params);
    } catch (problem) {
      if (problem.outcome !== "unknown") throw problem;
    }
    await this.#connected();
    return this.#stream.request(op, params).catch((second) => {
      if (!done(second)) throw second;
    });
  }

  /** An order as the venue has it, with all its fills. */
  async look(orderId) {
    const [order, { fills }] = await Promise.all([
      this.#stream.request("get_order", { order: orderId, ...this.named }),
      this.#stream.request("get_fills", { order_id: orderId, limit: FILLS_KEPT, ...this.named }),
    ]);
    return { order, fills };
  }

  /** Cancel every open order of the account, or those of one instrument. */
  cancelAll(symbol) {
    return this.#stream.request("cancel_all", { ...(symbol ? { symbol } : {}), ...this.named });
  }

  /** A request over HTTP, signed. Rejects with Problem. */
  rest(method, target, body) {
    return rest(this.signer, method, target, body);
  }

  /** Ask which sessions there are. */
  async loadSessions() {
    const signer = this.signer;
    if (!signer) return;
    try {
      const { sessions } = await this.rest("GET", "/v1/sessions");
      if (signer !== this.signer) return;
      rate(sessions, this.sessions);
      this.sessions = sessions;
      this.emit("sessions");
    } catch {
      // Asked again in a moment.
    }
  }

  #connected() {
    return this.#stream.next("open", WAIT_BACK_MS).catch(() => Promise.reject(lost()));
  }

  #forget() {
    clearInterval(this.#timer);
    this.signer = null;
    this.#restored = false;
    this.home = null;
    this.name = null;
    this.scopes = [];
    this.fees = null;
    this.epoch = null;
    this.seq = 0;
    this.seen = {};
    this.loaded = false;
    this.balances = new Map();
    this.orders = new Orders();
    this.history = new OrderHistory((params) => this.#stream.request("get_orders", { ...params, ...this.named }));
    this.fills = [];
    this.transfers = new Map();
    this.sessions = [];
  }

  async #resume() {
    const who = this.#stream.who;
    if (!who || !this.signedIn) return;
    if (this.#restored) await this.#welcome(who);
    else await this.#subscribe().catch(() => {});
  }

  async #welcome(who) {
    this.#restored = false;
    this.home = who.account;
    this.name ??= who.account;
    this.scopes = who.scopes;
    this.#keep();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      if (!document.hidden) this.loadSessions();
    }, SESSIONS_MS);
    this.emit("signed");
    this.loadSessions();
    if (this.name) await this.#subscribe();
  }

  #keep() {
    const { signer, home: account, name: viewed, scopes } = this;
    if (signer.keepable) keep({ ...signer.keepable, account, viewed, scopes });
  }

  async #subscribe() {
    if (!this.name) return;
    const from = this.seq ? { from_seq: this.seq + 1 } : {};
    try {
      const { private: about } = await this.#stream.request("subscribe", {
        channels: CHANNELS, ...from, ...this.named,
      });
      if (about.resumed) this.#seenAll(this.seq);
    } catch (problem) {
      if (problem.code === "engine_unavailable") setTimeout(() => this.#resume(), AGAIN_MS);
      return;
    }
    await this.#loadPast();
  }

  #seenAll(seq) {
    this.seen = Object.fromEntries(CHANNELS.map((channel) => [channel, seq]));
  }

  /** What snapshots do not hold: past fills, transfers that are done, the fees. */
  async #loadPast() {
    const { signer, name } = this;
    const { fills, transfers, fees } = await past(this, this.#stream);
    if (signer !== this.signer || !signer || name !== this.name) return;
    for (const fill of fills) this.#fill(fill);
    for (const row of transfers) this.#transfer(row);
    this.fees = fees;
    this.loaded = true;
    for (const type of ["fills", "transfers", "fees"]) this.emit(type);
  }

  /** All rows of a list, page by page, so many pages at most. Rejects with Problem. */
  all(path, what, pages, query = {}) {
    const ask = (more) => this.rest("GET", this.target(path, { ...query, ...more }));
    return all(ask, what, pages);
  }

  #take(message) {
    const { channel, type, data, seq } = message;
    if (!CHANNELS.includes(channel) || message.account !== this.name) return;
    if (this.epoch !== null && message.epoch !== this.epoch) this.seq = 0;
    this.epoch = message.epoch;
    if (type === "snapshot") {
      this.seen[channel] = seq;
      this.seq = Math.max(this.seq, seq);
      this.#snapshot(channel, data, message.ts);
    } else {
      // Something was lost on the way: begin anew with snapshots.
      if (this.seen[channel] !== message.prev_seq) {
        this.seq = 0;
        this.#stream.again();
        return;
      }
      this.seen[channel] = seq;
      this.seq = Math.max(this.seq, seq);
      this.#update(channel, data, message.ts);
    }
  }

  #snapshot(channel, data, time) {
    if (channel === "orders") {
      this.orders.replaceOpen(data, time);
      this.emit("orders");
    } else if (channel === "balances") {
      this.balances = new Map(data.map((row) => [row.asset, row]));
      this.emit("balances");
    } else if (channel === "transfers") {
      for (const row of data) this.#transfer(row);
      this.emit("transfers");
    }
  }

  #update(channel, data, time) {
    if (channel === "orders") {
      if (data.event.startsWith("session")) this.loadSessions();
      if (data.event === "rejected" && data.symbol) {
        this.orders.refused(data, time);
        this.emit("orders");
      } else if (data.order_id && data.status && data.symbol && !data.event.endsWith("rejected")) {
        this.orders.put(data, time);
        this.emit("orders");
      }
    } else if (channel === "executions") {
      this.#fill(data);
      this.emit("fills", data);
    } else if (channel === "balances") {
      for (const row of data) {
        this.balances.set(row.asset, { ...this.balances.get(row.asset), ...row });
      }
      this.emit("balances");
    } else if (channel === "transfers") {
      this.#transfer({ time, ...data });
      this.emit("transfers");
    }
  }

  #fill(fill) {
    const same = (one) => one.trade_id === fill.trade_id && one.order_id === fill.order_id;
    if (this.fills.some(same)) return;
    this.fills.push(fill);
    this.fills.sort((one, other) => other.trade_id - one.trade_id);
    this.fills.length = Math.min(this.fills.length, FILLS_KEPT);
  }

  /** What moves money; a change of the address book is told of as such. */
  #transfer(row) {
    const id = row[`${row.event}_id`];
    if (id === undefined) this.emit("addresses", row);
    else this.transfers.set(`${row.event}:${id}`, row);
  }
}
