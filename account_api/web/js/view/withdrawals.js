/* Asking for withdrawals, and deciding about them: what the key that is signed in may do. */

import { $, make, say } from "../lib/dom.js";
import { add, isZero, parse, show } from "../lib/decimal.js";
import { confirm } from "./confirm.js";
import { toast } from "./toasts.js";

const UNDECIDED = "pending_approval";
const BEFORE_SENDING = new Set(["requested", "pending_approval", "approved", "queued"]);
const DECISIONS = [
  ["approve", "Approve", "quiet", "approve", (state) => state === UNDECIDED],
  ["reject", "Refuse", "quiet danger", "approve", (state) => state === UNDECIDED],
  ["cancel", "Cancel", "quiet danger", "withdraw", (state) => BEFORE_SENDING.has(state)],
];

const WORDS = {
  approve: ["Approve", "Approve and send", "approved"], reject: ["Refuse", "Refuse it", "refused"],
  cancel: ["Cancel", "Cancel it", "canceled"],
};

/** The form above the list; returns what fills the last cell of a row. */
export class Withdrawals {
  #account;
  #networks = [];

  constructor(account) {
    this.#account = account;
    this.form = $("#withdraw");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    this.form.elements.network.addEventListener("change", () => this.#hint());
    account.on("signed", () => this.#show());
    $("#panel-transfers").addEventListener("click", (event) => {
      const { verb, withdrawal } = event.target.closest("button")?.dataset ?? {};
      if (verb) this.#decide(event.target, verb, withdrawal);
    });
  }

  /** Buttons for what may be decided about a row. */
  fill(cell, row) {
    const wanted = row.event !== "withdrawal" ? [] : DECISIONS.filter(
      ([, , , scope, may]) => this.#account.scopes.includes(scope) && may(row.state));
    const key = wanted.map(([verb]) => verb).join(" ");
    if (cell.dataset.verbs === key) return;
    cell.dataset.verbs = key;
    cell.replaceChildren(...wanted.map(([verb, text, kind]) => make("button", {
      type: "button", class: kind, textContent: text, "data-verb": verb,
      "data-withdrawal": row.withdrawal_id,
      "aria-label": `${text} the withdrawal of ${row.amount} ${row.asset}`,
    })));
  }

  async #show() {
    const may = this.#account.scopes.includes("withdraw");
    this.form.hidden = !may;
    say($("#withdraw-error"), "");
    if (!may || this.#networks.length) return;
    try {
      this.#networks = (await (await fetch("/v1/networks")).json()).networks
        .filter((one) => !one.suspended);
    } catch {
      say($("#withdraw-error"), "The venue does not tell its networks at this moment.");
      return;
    }
    this.form.elements.network.replaceChildren(...this.#networks.map((one) =>
      make("option", { textContent: `${one.asset} over ${one.network}` })));
    this.#hint();
  }

  #network() {
    return this.#networks[this.form.elements.network.selectedIndex];
  }

  #hint() {
    const network = this.#network();
    say($("#withdraw-hint"), network
      ? `At least ${show(network.withdrawal_min)} ${network.asset}; the fee is ` +
        `${show(network.withdrawal_fee)} ${network.asset} on top.` : "");
  }

  async #ask() {
    const { address, amount } = this.form.elements;
    const network = this.#network();
    say($("#withdraw-error"), "");
    const body = {
      client_withdrawal_id: `page-${crypto.randomUUID()}`, asset: network.asset,
      network: network.network, address: address.value.trim(), amount: amount.value.trim(),
    };
    if (!parse(body.amount) || isZero(body.amount)) {
      say($("#withdraw-error"), "Enter an amount in digits with at most one point, like 0.5.");
      amount.focus();
      return;
    }
    const fee = network.withdrawal_fee;
    const sure = await confirm({
      kind: "money", danger: true,
      title: `Withdraw ${show(body.amount)} ${body.asset}?`,
      rows: [
        ["To", body.address], ["Network", body.network],
        ["Arrives", `${show(body.amount)} ${body.asset}`], ["Fee", `${show(fee)} ${body.asset}`],
        ["Taken from your balance", `${show(add(body.amount, fee))} ${body.asset}`],
      ],
      warnings: ["What is sent to a wrong address is lost."], go: "Request the withdrawal",
    });
    if (!sure) return;
    const button = $("#withdraw-go");
    button.disabled = true;
    try {
      const asked = await this.#twice("/v1/withdrawals", body);
      toast(asked.state === UNDECIDED
        ? `The withdrawal of ${show(asked.amount)} ${asked.asset} waits for somebody else's approval.`
        : `The withdrawal of ${show(asked.amount)} ${asked.asset} is on its way.`, "good");
      amount.value = "";
    } catch (problem) {
      say($("#withdraw-error"), problem.message);
    } finally {
      button.disabled = false;
    }
  }

  /** A lost answer is asked for again under the same id, which does it at most once. */
  async #twice(target, body) {
    try {
      return await this.#account.rest("POST", target, body);
    } catch (problem) {
      if (problem.outcome !== "unknown") throw problem;
      return this.#account.rest("POST", target, body);
    }
  }

  async #decide(button, verb, id) {
    const row = this.#account.transfers.get(`withdrawal:${id}`);
    const [word, go, done] = WORDS[verb];
    const sure = await confirm({
      kind: "money", danger: true,
      title: `${word} the withdrawal of ${show(row.amount)} ${row.asset}?`,
      rows: [["To", row.address], ["Network", row.network ?? "–"], ["Amount", `${show(row.amount)} ${row.asset}`],
        ["Fee", `${show(row.fee)} ${row.asset}`], ...(row.memo ? [["Memo", row.memo]] : []), ["Requested by", row.requested_by ?? "–"]],
      warnings: verb === "approve" ? ["Once it is approved the venue sends it."] : [],
      go,
    });
    if (!sure) return;
    button.disabled = true;
    const target = `/v1/withdrawals/${id}`;
    try {
      await (verb === "cancel"
        ? this.#account.rest("DELETE", target)
        : this.#account.rest("POST", `${target}/${verb}`));
      toast(`The withdrawal of ${show(row.amount)} ${row.asset} is ${done}.`, "good");
    } catch (problem) {
      toast(problem.message, "bad");
      button.disabled = false;
    }
  }
}
