/* Signing in: the public keys of a demo by one click, or a key of one's own. */

import { $, make, say } from "../lib/dom.js";
import { PEOPLE, demoKeys } from "./forms.js";
import { toast } from "./toasts.js";

const OPERATOR = ["Operator", "runs the venue: sees all sessions, halts trading"];
const WRONG = "The key is not known here, or the secret is wrong.";

/** What somebody is there for; nothing of who trades, which most do. */
function role(account) {
  if (account.may("keys")) return ", administrator";
  if (account.may("trade")) return "";
  if (account.may("withdraw")) return ", treasurer";
  return account.may("approve") ? ", approver" : ", read only";
}

export class SignIn {
  #account;

  constructor(account) {
    this.#account = account;
    this.dialog = $("#signin");
    const keys = demoKeys();
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

  /** A firm with its people, a button for each. */
  #person(keys) {
    const [, firm] = keys[0].split("-");
    const buttons = keys.map((key) => {
      const [, , purpose = ""] = key.split("-");
      const [title, does] = PEOPLE[purpose] ?? OPERATOR;
      const button = make("button", { type: "button", class: "person", "data-key": key, title: `${firm}: ${does}` },
        make("b", { textContent: title }), make("span", { textContent: does }));
      // The secrets of a demo are its keys' names and a word, for everyone to know.
      button.addEventListener("click", () => this.#enter(key, `${key}-secret`));
      return button;
    });
    return make("section", { class: "firm", "aria-label": firm },
      make("h3", { textContent: firm }), ...buttons);
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
      say($("#signin-error"), problem.code === "unauthorized" ? WRONG : problem.message);
    }
  }

  #show(problem) {
    const { signedIn, name } = this.#account;
    if (signedIn) this.dialog.close();
    say($("#sign"), signedIn ? "Sign out" : "Sign in");
    $("#sign").classList.toggle("main", !signedIn);
    $("#sign").classList.toggle("quiet", signedIn);
    $("#who").hidden = !signedIn;
    say($("#who"), signedIn ? `${name ?? "operator"}${name ? role(this.#account) : ""}` : "");
    document.body.dataset.signed = signedIn ? "yes" : "no";
    if (problem) toast(`You are signed out: ${problem.message}`, "bad");
  }
}
