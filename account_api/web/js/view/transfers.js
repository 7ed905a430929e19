/* Transfers between the accounts of the firm. */

import { $, make, say } from "../lib/dom.js";
import { compare, isZero, parse, show } from "../lib/decimal.js";
import { confirm } from "./confirm.js";
import { field, form, input, lacking, options, twice } from "./forms.js";
import { draw, keep, table, when } from "./table.js";
import { toast } from "./toasts.js";

export function mountTransfers(account) {
  const to = make("select", { name: "to" });
  const asset = make("select", { name: "asset" });
  const amount = input({ name: "amount", inputMode: "decimal", maxLength: 30 });
  const has = make("i", { id: "transfer-available" });
  const most = make("button", { type: "button", class: "quiet", textContent: "Max", "aria-label": "Max: all that is available" });
  const available = () => account.balances.get(asset.value)?.available ?? null;
  const ask = form("transfer", "Transfer to another account", [
    field("To the account", to), field("Asset", asset), field("Amount", amount, has), most,
  ], "Transfer", async () => {
    const value = amount.value.trim();
    if (!parse(value) || value.startsWith("-") || isZero(value)) {
      amount.focus();
      throw new Error("Enter an amount in digits with at most one point, like 0.5.");
    }
    if (available() !== null && compare(value, available()) > 0) {
      throw new Error(`Only ${show(available())} ${asset.value} is available.`);
    }
    const body = {
      client_transfer_id: `page-${crypto.randomUUID()}`, to_account: to.value, asset: asset.value, amount: value, ...account.named,
    };
    const sure = await confirm({
      kind: "money", title: `Transfer ${show(value)} ${asset.value}?`, go: "Transfer it",
      rows: [["From", account.name], ["To", to.value], ["Amount", `${show(value)} ${asset.value}`]],
    });
    if (!sure) return;
    await twice(account, "/v1/transfers", body);
    toast(`${show(value)} ${asset.value} is transferred to ${to.value}.`, "good");
    amount.value = "";
  });
  most.addEventListener("click", () => { amount.value = available() ?? ""; });
  const view = table($("#panel-internal"), "Transfers within the firm", [["Time"], ["Amount", "n"], ["From or to"], ["Id", "id lo"]], "", ask.element);
  const again = keep(account, view, "transfers", "No transfers yet.", ["transfers", "balances", "accounts"], () => {
    const others = account.accounts.map((one) => one.account).filter((name) => name !== account.name);
    const needs = lacking(account, "withdraw", "transfer money");
    const alone = account.signedIn && !needs && !others.length ? "This key reaches no other account of the firm." : "";
    ask.element.hidden = !account.name;
    for (const one of [...ask.element.querySelectorAll("label"), most, ask.go]) one.hidden = Boolean(needs || alone);
    options(to, others);
    options(asset, [...account.balances.keys()]);
    say(has, available() === null ? "" : `of ${show(available())}`);
    say(ask.hint, needs || alone);
    const list = [...account.transfers.values()].filter((row) => row.event === "transfer")
      .sort((one, other) => (one.time < other.time ? 1 : -1));
    draw(view, list, (row) => row.transfer_id, (row, transfer) => {
      const [time, change, other, id] = row.children;
      when(time, transfer.time);
      const out = transfer.change.startsWith("-");
      say(change, `${show(transfer.change).replace("-", "−")} ${transfer.asset}`);
      say(other, `${out ? "to" : "from"} ${transfer.other_account}`);
      say(id, transfer.client_transfer_id);
    });
  });
  asset.addEventListener("change", again);
}
