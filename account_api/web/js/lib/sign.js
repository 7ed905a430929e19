/* Proof of a key: HMAC-SHA256 by the browser. The secret is turned into a key that cannot be
   read back, which is all that is kept of it. */

const encoder = new TextEncoder();

function hex(buffer) {
  return [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Signer {
  #key;
  #last = 0;

  /** `clock` gives the venue's time in milliseconds. */
  static async of(name, secret, clock) {
    if (!globalThis.crypto?.subtle) {
      throw new Error("This browser signs on secure pages only: use https or 127.0.0.1.");
    }
    const signer = new Signer();
    signer.name = name;
    signer.clock = clock;
    signer.#key = await crypto.subtle.importKey(
      "raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"],
    );
    return signer;
  }

  /** A signer of what another one gave to keep. */
  static again({ name, key }, clock) {
    const signer = new Signer();
    signer.name = name;
    signer.clock = clock;
    signer.#key = key;
    return signer;
  }

  /** What can be kept: the key, which signs and cannot be read back. */
  get keepable() {
    return { name: this.name, key: this.#key };
  }

  /** Key, timestamp and signature of a request made now; no two have the same time. */
  async credentials(method, target, body = "") {
    this.#last = Math.max(this.#last + 1, Math.round(this.clock()));
    const timestamp = String(this.#last);
    const digest = hex(await crypto.subtle.digest("SHA-256", encoder.encode(body)));
    const lines = encoder.encode([timestamp, method, target, digest].join("\n"));
    const signature = hex(await crypto.subtle.sign("HMAC", this.#key, lines));
    return { key: this.name, timestamp, signature };
  }

  /** The same as headers of an HTTP request. */
  async headers(method, target, body = "") {
    const { key, timestamp, signature } = await this.credentials(method, target, body);
    return {
      "X-Tandem-Key": key,
      "X-Tandem-Timestamp": timestamp,
      "X-Tandem-Signature": signature,
    };
  }
}

/** A read-only token, with the same two methods. */
export class Token {
  #token;

  constructor(token) {
    this.#token = token;
    this.name = "token";
  }

  /** A token is text: whoever reads it has it, so it is not kept. */
  get keepable() {
    return null;
  }

  async credentials() {
    return { token: this.#token };
  }

  async headers() {
    return { Authorization: `Bearer ${this.#token}` };
  }
}
