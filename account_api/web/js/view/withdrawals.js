/* Asking for withdrawals, deciding about them, and the list of all that came and went. */

import { $, make, say } from "../lib/dom.js";
import { add, compare, divideDown, isZero, parse, show, subtract } from "../lib/decimal.js";
import { confirm } from "./confirm.js";
import { lacking, options, twice } from "./forms.js";
import { networks } from "./networks.js";
import { TIME, draw, keep, rowButton, table, when } from "./table.js";
import { toast } from "./toasts.js";

const UNDECIDED = "pending_approval";
const BEFORE_SENDING = new Set(["requested", "pending_approval", "approved", "queued"]);
const DECISIONS = [
  ["approve", "Approve", "quiet", "approve", (state) => state === UNDECIDED],
  ["reject", "Reject", "quiet danger", "approve", (state) => state === UNDECIDED],
  ["cancel", "Cancel", "quiet danger", "withdraw", (state) => BEFORE_SENDING.has(state)],
];
const WORDS = {
  approve: ["Approve", "Approve and send", "approved"], reject: ["Reject", "Reject it", "rejected"],
  cancel: ["Cancel", "Cancel it", "canceled"],
};

/** Returns the form, which suggests the addresses of the book. */
export function mountMovements(account) {
  const panel = $("#panel-transfers");
  const needs = make("p", { class: "hint", id: "withdraw-needs" });
  const view = table(panel, "Your withdrawals, deposits and transfers", [
    [TIME], ["Kind"], ["Amount", "n"], ["Fee", "n lo"], ["State"], ["To or from", "id"], ["", "act"],
  ], "", needs, $("#withdraw"));
  const form = new Withdrawals(account);
  const began = (row) => row.created_at ?? row.time;
  keep(account, view, "withdrawals and deposits", "None yet.", ["transfers"], () => {
    say(needs, account.name ? lacking(account, "withdraw", "withdraw") : "");
    needs.hidden = !needs.textContent;
    const list = [...account.transfers.entries()].map(([key, row]) => ({ key, ...row }))
      .sort((one, other) => (began(one) < began(other) ? 1 : -1));
    draw(view, list, (row) => row.key, (row, transfer) => {
      const [time, kind, amount, fee, state, place, act] = row.children;
      when(time, began(transfer));
      say(kind, transfer.event);
      say(amount, `${show(transfer.amount ?? transfer.change)} ${transfer.asset}`);
      say(fee, transfer.fee ? `${show(transfer.fee)} ${transfer.asset}` : "–");
      say(state, transfer.state?.replaceAll("_", " ") ??
        (transfer.event === "deposit" && !transfer.credited
          ? `${transfer.confirmations} of ${transfer.confirmations_required} confirmations` : "done"));
      say(place, transfer.address ?? transfer.other_account ?? transfer.deposit_id ?? "");
      place.title = [transfer.txid && `Transaction ${transfer.txid}`, transfer.requested_by && `requested by ${transfer.requested_by}`,
        transfer.approved_by && `approved by ${transfer.approved_by}`].filter(Boolean).join(", ") || place.textContent;
      form.fill(act, transfer);
    });
  });
  return form;
}

/** The form above the list, and what may be decided about a row. */
class Withdrawals {
  #account;

  constructor(account) {
    this.#account = account;
    this.form = $("#withdraw");
    const { network, amount } = this.form.elements;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    network.addEventListener("change", () => this.#draw());
    $("#withdraw-max").addEventListener("click", () => { amount.value = this.#most() ?? ""; });
    account.on("signed", () => {
      say($("#withdraw-error"), "");
      amount.value = "";
      this.#draw();
    });
    account.on("balances", () => this.#draw());
    networks.on("networks", () => this.#draw());
    $("#panel-transfers").addEventListener("click", (event) => {
      const { verb, withdrawal } = event.target.closest("button")?.dataset ?? {};
      if (withdrawal) this.#decide(event.target, verb, withdrawal);
    });
  }

  /** Offer the addresses of the book. */
  suggest(book) {
    this.book = book;
    this.#draw();
  }

  /** Buttons for what may be decided about a row. */
  fill(cell, row) {
    const wanted = row.event !== "withdrawal" ? [] : DECISIONS.filter(
      ([, , , scope, may]) => this.#account.may(scope) && may(row.state));
    const key = wanted.map(([verb]) => verb).join(" ");
    if (cell.dataset.verbs === key) return;
    cell.dataset.verbs = key;
    cell.replaceChildren(...wanted.map(([verb, text, kind]) => rowButton(text,
      `${text} the withdrawal of ${row.amount} ${row.asset}`, { "data-verb": verb, "data-withdrawal": row.withdrawal_id }, kind)));
  }

  get #network() {
    return networks.list[this.form.elements.network.selectedIndex];
  }

  get #available() {
    return this.#account.balances.get(this.#network?.asset)?.available ?? null;
  }

  /** What can be withdrawn at most: what is available less the fee, in whole steps; null: nothing. */
  #most() {
    const network = this.#network;
    const available = this.#available;
    if (!network || available === null || compare(available, network.withdrawal_fee) <= 0) return null;
    return divideDown(subtract(available, network.withdrawal_fee), "1", network.withdrawal_step);
  }

  #draw() {
    const { network: select } = this.form.elements;
    this.form.hidden = !this.#account.name || !this.#account.may("withdraw");
    options(select, networks.list.map((one) => `${one.asset} over ${one.network}`));
    const network = this.#network;
    const available = this.#available;
    say($("#withdraw-available"), available === null ? "" : `of ${show(available)}`);
    $("#withdraw-memo").hidden = !network?.memo_required;
    const entries = (this.book?.entries ?? []).filter((one) => one.asset === network?.asset && one.network === network?.network);
    options($("#withdraw-book"), entries.map((one) => [one.address, one.label || one.address]));
    const most = this.#most();
    say($("#withdraw-hint"), network
      ? `At least ${show(network.withdrawal_min)} ${network.asset}; the fee is ${show(network.withdrawal_fee)} ${network.asset} on top` +
        `${most === null ? "" : `, so at most ${show(most)} ${network.asset}`}.` : "");
  }

  async #ask() {
    const { address, amount, memo } = this.form.elements;
    const network = this.#network;
    const complain = (text, where) => {
      say($("#withdraw-error"), text);
      where.focus();
    };
    say($("#withdraw-error"), "");
    if (!network) {
      complain("The venue does not tell its networks at this moment.", address);
      return;
    }
    const body = {
      client_withdrawal_id: `page-${crypto.randomUUID()}`, asset: network.asset, network: network.network,
      address: address.value.trim(), amount: amount.value.trim(), ...this.#account.named,
      ...(network.memo_required ? { memo: memo.value.trim() } : {}),
    };
    if (!body.address) return void complain("Enter the address to which it goes.", address);
    if (!parse(body.amount) || body.amount.startsWith("-") || isZero(body.amount)) {
      return void complain("Enter an amount in digits with at most one point, like 0.5.", amount);
    }
    const fee = network.withdrawal_fee;
    const taken = add(body.amount, fee);
    if (this.#available !== null && compare(taken, this.#available) > 0) {
      return void complain(`With the fee it would take ${show(taken)} ${body.asset}; ${show(this.#available)} ${body.asset} is available.`, amount);
    }
    const known = (this.book?.entries ?? []).find((one) => one.address === body.address);
    const sure = await confirm({
      kind: "money", danger: true,
      title: `Withdraw ${show(body.amount)} ${body.asset}?`,
      rows: [
        ["From", this.#account.name], ["To", body.address], ...(known?.label ? [["In the book as", known.label]] : []),
        ["Network", body.network], ...(body.memo ? [["Memo", body.memo]] : []),
        ["Arrives", `${show(body.amount)} ${body.asset}`], ["Fee", `${show(fee)} ${body.asset}`],
        ["Taken from your balance", `${show(taken)} ${body.asset}`],
      ],
      warnings: ["What is sent to a wrong address is lost."], go: "Request the withdrawal",
    });
    if (!sure) return;
    const button = $("#withdraw-go");
    button.disabled = true;
    try {
      const asked = await twice(this.#account, "/v1/withdrawals", body);
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
    const path = `/v1/withdrawals/${id}`;
    try {
      await (verb === "cancel"
        ? this.#account.rest("DELETE", this.#account.target(path))
        : this.#account.rest("POST", this.#account.target(`${path}/${verb}`)));
      toast(`The withdrawal of ${show(row.amount)} ${row.asset} is ${done}.`, "good");
    } catch (problem) {
      toast(problem.message, "bad");
      button.disabled = false;
    }
  }
}
