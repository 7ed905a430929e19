/* The WebSocket: requests with answers, messages of channels, and coming back by itself. */

import { Emitter } from "../lib/events.js";

const ANSWER_MS = 10_000;
const SILENCE_MS = 16_000;
const PING_MS = 5_000;
const RETRY_FIRST_MS = 300;
const RETRY_MAX_MS = 8_000;

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
 * and `refused` when the venue does not let a known key in again.
 */
export class Stream extends Emitter {
  #socket = null;
  #waiting = new Map();
  #number = 0;
  #retry = RETRY_FIRST_MS;
  #heard = 0;
  #received = 0;
  #trips = [];

  constructor(url) {
    super();
    this.url = url;
    this.state = "connecting";
    /** What logs in after every connection; null: nobody is signed in. */
    this.credentials = null;
    this.who = null;
    this.clockOffset = 0;
    this.figures = { perSecond: 0, roundTrip: null, seq: 0 };
    setInterval(() => this.#second(), 1000);
    setInterval(() => this.#ping().catch(() => {}), PING_MS);
  }

  /** The venue's time in milliseconds, as near as is known. */
  now() {
    return Date.now() + this.clockOffset;
  }

  connect() {
    this.state = "connecting";
    const socket = new WebSocket(this.url);
    this.#socket = socket;
    this.#heard = performance.now();
    socket.onmessage = (event) => this.#take(JSON.parse(event.data));
    socket.onclose = (event) => this.#closed(socket, event);
    socket.onopen = () => this.#opened(socket);
  }

  /** End this connection; another one follows at once. */
  again() {
    this.#retry = 0;
    this.#socket?.close();
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
      if (socket.readyState !== WebSocket.OPEN) return;
      this.credentials = null;
      this.who = null;
      this.emit("refused", problem);
    }
    this.#retry = RETRY_FIRST_MS;
    this.state = "open";
    this.emit("open");
  }

  #closed(socket, event) {
    if (socket !== this.#socket) return;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(lost());
    }
    this.#waiting.clear();
    this.who = null;
    this.state = "closed";
    this.figures.roundTrip = null;
    this.emit("closed", { reason: event.reason });
    setTimeout(() => this.connect(), this.#retry);
    this.#retry = Math.min(Math.max(this.#retry, RETRY_FIRST_MS) * 2, RETRY_MAX_MS);
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
    this.emit("message", message);
  }

  async #ping() {
    const sent = performance.now();
    const began = Date.now();
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
    // The venue beats its heart every few seconds: silence is a connection that is gone.
    if (this.state === "open" && performance.now() - this.#heard > SILENCE_MS) this.again();
    this.emit("figures");
  }
}
