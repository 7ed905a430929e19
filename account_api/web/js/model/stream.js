/* The WebSocket: requests with answers, messages of channels, and coming back by itself. */

import { Emitter } from "../lib/events.js";

const ANSWER_MS = 10_000;
const PING_MS = 2_000;
/** After a ping something has to come within this time. */
const PING_SILENCE_MS = 4_000;
/** Two of the venue's heartbeats: pings wait where the browser slows a page that nobody sees. */
const SILENCE_MS = 11_000;
const CONNECT_MS = 5_000;
const WATCH_MS = 250;
const RETRY_FIRST_MS = 250;
const RETRY_MAX_MS = 4_000;

/** Why a known key is let in no more; whatever else happens, it is tried again. */
const REFUSALS = new Set([
  "unauthorized", "outside_window", "source_not_allowed", "key_pending", "key_expired", "not_permitted",
]);

/** A refusal, as the venue words it; `outcome` says whether something was done. */
export class Problem extends Error {
  constructor(document) {
    super(document.detail ?? "The venue refused.");
    this.code = document.code ?? "unknown";
    this.field = document.field;
    this.outcome = document.outcome ?? "unknown";
  }
}

/** The answer did not come: it may or may not have been done. */
export function lost() {
  return new Problem({ code: "lost", detail: "The connection ended before the answer came." });
}

/**
 * Emits `open` (logged in again where it was), `closed`, `message` (of a channel), `figures`,
 * `engine` when the engine comes or goes behind it, and `refused` when the venue does not let a
 * known key in again.
 *
 * A connection that is silent is given up at once. Closing it properly would wait for an answer
 * of the side that does not answer.
 */
export class Stream extends Emitter {
  #socket = null;
  #waiting = new Map();
  #number = 0;
  #retry = RETRY_FIRST_MS;
  #heard = 0;
  #pinged = 0;
  #received = 0;
  #trips = [];
  #again = null;

  constructor(url) {
    super();
    this.url = url;
    this.state = "connecting";
    /** What logs in after every connection; null: nobody is signed in. */
    this.credentials = null;
    this.who = null;
    /** Whether the venue says that its engine is there. */
    this.engine = true;
    this.clockOffset = 0;
    this.figures = { perSecond: 0, roundTrip: null, seq: 0 };
    setInterval(() => this.#second(), 1000);
    setInterval(() => this.#watch(), WATCH_MS);
    setInterval(() => this.#ping().catch(() => {}), PING_MS);
  }

  /** The venue's time in milliseconds, as near as is known. */
  now() {
    return Date.now() + this.clockOffset;
  }

  connect() {
    this.#again = null;
    if (this.state !== "closed") this.state = "connecting";
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#heard = performance.now();
    this.#pinged = 0;
    socket.onmessage = (event) => this.#take(JSON.parse(event.data));
    socket.onclose = (event) => this.#closed(socket, event);
    socket.onopen = () => this.#opened(socket);
  }

  /** End this connection; another one follows at once. */
  again() {
    this.#retry = 0;
    this.#drop("");
  }

  /** Ask something. Rejects with Problem; `outcome` unknown when the connection ended. */
  request(op, params = {}) {
    const socket = this.#socket;
    if (!socket || socket.readyState !== WebSocket.OPEN) {
      const detail = "There is no connection to the venue at this moment.";
      return Promise.reject(new Problem({ code: "offline", detail, outcome: "not_applied" }));
    }
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(number);
        reject(lost());
      }, ANSWER_MS);
      this.#waiting.set(number, { resolve, reject, timer });
      socket.send(JSON.stringify({ op, req_id: number, params }));
    });
  }

  /** Log in on the connection that is there. Rejects with Problem. */
  async login() {
    this.who = await this.request("login", await this.credentials());
    return this.who;
  }

  async #opened(socket) {
    try {
      await this.#ping();
      if (this.credentials) await this.login();
    } catch (problem) {
      if (socket !== this.#socket) return;
      if (!REFUSALS.has(problem.code)) {
        this.#drop("it does not let us in at this moment");
        return;
      }
      this.credentials = null;
      this.who = null;
      this.emit("refused", problem);
    }
    if (socket !== this.#socket) return;
    this.engine = true;
    this.state = "open";
    this.emit("open");
  }

  /** Let go of the connection, whatever its other end does. */
  #drop(reason) {
    const socket = this.#socket;
    if (!socket) return;
    for (const name of ["onopen", "onmessage", "onclose"]) socket[name] = null;
    socket.close();
    this.#closed(socket, { reason });
  }

  #closed(socket, event) {
    if (socket !== this.#socket) return;
    this.#socket = null;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(lost());
    }
    this.#waiting.clear();
    this.who = null;
    this.state = "closed";
    this.figures.roundTrip = null;
    this.emit("closed", { reason: event.reason });
    // Somewhat apart from all others who lost it in the same moment.
    this.#again ??= setTimeout(() => this.connect(), this.#retry * (0.5 + Math.random() / 2));
    this.#retry = Math.min(Math.max(this.#retry * 2, RETRY_FIRST_MS), RETRY_MAX_MS);
  }

  /** Silence is a connection that is gone. */
  #watch() {
    if (!this.#socket) return;
    const now = performance.now();
    const silent = now - this.#heard;
    if (this.state !== "open") {
      if (silent > CONNECT_MS) this.#drop("it does not answer");
    } else if (silent > SILENCE_MS
        || (this.#pinged > this.#heard && now - this.#pinged > PING_SILENCE_MS)) {
      this.#retry = 0;
      this.#drop("it is silent");
    }
  }

  #take(message) {
    this.#received += 1;
    this.#heard = performance.now();
    if ("op" in message) {
      const waiting = this.#waiting.get(message.req_id);
      if (!waiting) return;
      this.#waiting.delete(message.req_id);
      clearTimeout(waiting.timer);
      if (message.ok) waiting.resolve(message.data);
      else waiting.reject(new Problem(message.error));
      return;
    }
    this.figures.seq = Math.max(this.figures.seq, message.as_of_seq ?? 0);
    if (message.channel === "heartbeat") {
      this.#retry = 0;
      if (this.engine !== message.data.engine_connected) {
        this.engine = message.data.engine_connected;
        this.emit("engine");
      }
    }
    this.emit("message", message);
  }

  async #ping() {
    const sent = performance.now();
    const began = Date.now();
    // Heard of after this one, or one before it that has no answer yet.
    if (this.#pinged <= this.#heard) this.#pinged = sent;
    const { time_ms: time } = await this.request("ping");
    const took = performance.now() - sent;
    this.#trips = [...this.#trips, took].slice(-9);
    const sorted = [...this.#trips].sort((one, other) => one - other);
    this.figures.roundTrip = sorted[Math.floor(sorted.length / 2)];
    this.clockOffset = time - (began + took / 2);
  }

  #second() {
    this.figures.perSecond = this.#received;
    this.#received = 0;
    this.emit("figures");
  }
}
