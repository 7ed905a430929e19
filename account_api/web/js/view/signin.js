/* Signing in: the public keys of a demo by one click, or a key of one's own. */

import { $, make, say } from "../lib/dom.js";
import { toast } from "./toasts.js";

const PEOPLE = {
  trade: ["a trading firm", true], withdraw: ["treasurer", false],
  approve: ["approver", false],
};

/** What somebody who does not trade is there for. */
function role(scopes) {
  if (scopes.includes("trade")) return "";
  return scopes.includes("withdraw") ? ", treasurer" : scopes.includes("approve") ? ", approver" : ", read only";
}

export class SignIn {
  #account;

  constructor(account) {
    this.#account = account;
    this.dialog = $("#signin");
    const keys = document.documentElement.dataset.demoKeys.split(" ").filter(Boolean);
    $("#demo-part").hidden = keys.length === 0;
    $("#own-part").open = keys.length === 0;
    const names = [...new Set(keys.map((key) => key.split("-")[1]))];
    $("#people").append(...names.map((name) =>
      this.#person(keys.filter((key) => key.split("-")[1] === name))));
    $("#signin-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const { key, secret } = event.target.elements;
      this.#enter(key.value.trim(), secret.value);
    });
    $("#signin-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => {
      $("#signin-form").elements.secret.value = "";
      say($("#signin-error"), "");
    });
    $("#sign").addEventListener("click", () => this.toggle());
    account.on("signed", (problem) => this.#show(problem));
  }

  /** Ask who it is; where somebody is signed in, sign out. */
  toggle() {
    if (this.#account.signedIn) this.#account.signOut();
    else this.ask();
  }

  ask() {
    this.dialog.showModal();
  }

  /** A firm with its people: a large button for who trades, small ones for the others. */
  #person(keys) {
    const buttons = keys.map((key) => {
      const [, name, purpose = ""] = key.split("-");
      const [what, large] = PEOPLE[purpose] ?? ["runs the venue, sees all sessions", true];
      const button = large
        ? make("button", { type: "button", class: "person", "data-key": key },
          make("b", { textContent: name }), make("span", { textContent: what }))
        : make("button", { type: "button", class: "quiet", "data-key": key, textContent: `${name}'s ${what}`,
          "aria-label": `${name}: ${what}` });
      // The secrets of a demo are its keys' names and a word, for everyone to know.
      button.addEventListener("click", () => this.#enter(key, `${key}-secret`));
      return button;
    });
    return make("div", { class: "firm" }, ...buttons);
  }

  async #enter(key, secret) {
    say($("#signin-error"), "");
    if (!secret) {
      say($("#signin-error"), "Enter the secret of the key, or a token.");
      return;
    }
    try {
      await this.#account.signIn(key, secret);
    } catch (problem) {
      say($("#signin-error"), problem.message);
    }
  }

  #show(problem) {
    const { signedIn, name } = this.#account;
    if (signedIn) this.dialog.close();
    say($("#sign"), signedIn ? "Sign out" : "Sign in");
    $("#sign").classList.toggle("main", !signedIn);
    $("#sign").classList.toggle("quiet", signedIn);
    $("#who").hidden = !signedIn;
    say($("#who"), signedIn ? `${name ?? "operator"}${name ? role(this.#account.scopes) : ""}` : "");
    document.body.dataset.signed = signedIn ? "yes" : "no";
    if (problem) toast(`You are signed out: ${problem.message}`, "bad");
  }
}
