/* The tabs of the account and what is in them. */

import { $, $$, make, moment, say } from "../lib/dom.js";
import { show } from "../lib/decimal.js";
import { mountFills } from "./fills.js";
import { OrdersPanel } from "./orders.js";
import { draw, keep, table } from "./table.js";
import { toast } from "./toasts.js";
import { Withdrawals } from "./withdrawals.js";

const FLASH_MS = 3_000;

export class Panels {
  #account;
  #orders;

  constructor(market, account) {
    this.#account = account;
    this.#mountTabs();
    this.#orders = new OrdersPanel(market, account);
    mountFills(market, account);
    this.#mountBalances();
    this.#mountTransfers();
    $("#cancel-all").addEventListener("click", () => this.#orders.cancelAll(true));
  }

  cancelAll() {
    return this.#orders.cancelAll();
  }

  /** Show a panel by name. */
  show(name, focus = false) {
    if (!$(`#tab-${CSS.escape(name)}`)) return;
    for (const tab of $$("[role=tab]")) {
      const chosen = tab.id === `tab-${name}`;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      if (chosen && focus) tab.focus();
      $(`#${tab.getAttribute("aria-controls")}`).hidden = !chosen;
    }
    this.shown(name);
  }

  /** Called with the name of the panel that is shown from now on. */
  shown = () => {};

  /** Show a row and let it shine for a moment, now or when it arrives. */
  flash(panel, matches) {
    this.show(panel);
    const shine = () => {
      const found = $$(`#panel-${panel} tbody tr`).filter((row) => matches(row.dataset.key));
      for (const row of found) {
        row.classList.add("flash");
        row.scrollIntoView({ block: "nearest" });
        setTimeout(() => row.classList.remove("flash"), FLASH_MS);
      }
      return found.length > 0;
    };
    if (!shine()) setTimeout(shine, 300);
  }

  #mountTabs() {
    const tabs = $$("[role=tab]");
    tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => this.show(tab.id.slice(4)));
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        this.show(tabs.at((index + step) % tabs.length).id.slice(4), true);
      });
    });
  }

  #keep(view, name, none, events, paint) {
    keep(this.#account, view, name, none, events, paint);
  }

  #mountBalances() {
    const offered = new Set(document.documentElement.dataset.faucet.split(" ").filter(Boolean));
    const view = table($("#panel-balances"), "Your balances", [
      ["Asset"], ["Available", "n"], ["Held", "n"], ["Total", "n"], ["", "act"],
    ]);
    view.body.addEventListener("click", (event) => {
      const asset = event.target.closest("button")?.dataset.asset;
      if (asset) this.#faucet(event.target, asset);
    });
    this.#keep(view, "balances", "No balances.", ["balances"], () => {
      const list = [...this.#account.balances.values()];
      draw(view, list, (row) => row.asset, (row, balance) => {
        const [asset, available, held, total, act] = row.children;
        say(asset, balance.asset);
        say(available, show(balance.available));
        say(held, show(balance.held));
        say(total, show(balance.posted));
        const wanted = offered.has(balance.asset) && this.#account.mayTrade;
        if (wanted && !act.firstChild) {
          act.append(make("button", {
            type: "button", class: "quiet", textContent: "Get test coins", "data-asset": balance.asset,
            "aria-label": `Get test coins of ${balance.asset}`,
          }));
        } else if (!wanted) act.replaceChildren();
      });
    });
  }

  async #faucet(button, asset) {
    button.disabled = true;
    try {
      const { amount } = await this.#account.rest("POST", "/v1/faucet", { asset });
      toast(`${show(amount)} ${asset} are yours.`, "good");
    } catch (problem) {
      toast(problem.message, "bad");
    } finally {
      button.disabled = false;
    }
  }

  #mountTransfers() {
    const form = $("#withdraw");
    const view = table($("#panel-transfers"), "Your withdrawals, deposits and transfers", [
      ["Time"], ["Kind"], ["Amount", "n"], ["Fee", "n lo"], ["State"], ["To or from", "id"],
      ["", "act"],
    ]);
    $("#panel-transfers").prepend(form);
    const withdrawals = new Withdrawals(this.#account);
    const when = (row) => row.created_at ?? row.time;
    this.#keep(view, "withdrawals and deposits", "None yet.", ["transfers"], () => {
      const list = [...this.#account.transfers.entries()]
        .map(([key, row]) => ({ key, ...row }))
        .sort((one, other) => (when(one) < when(other) ? 1 : -1));
      draw(view, list, (row) => row.key, (row, transfer) => {
        const [time, kind, amount, fee, state, place, act] = row.children;
        say(time, moment(when(transfer)));
        say(kind, transfer.event);
        say(amount, `${show(transfer.amount ?? transfer.change)} ${transfer.asset}`);
        say(fee, transfer.fee ? `${show(transfer.fee)} ${transfer.asset}` : "–");
        say(state, transfer.state?.replace("_", " ") ??
          (transfer.event === "deposit" && !transfer.credited
            ? `${transfer.confirmations} of ${transfer.confirmations_required} confirmations` : "done"));
        say(place, transfer.address ?? transfer.other_account ?? transfer.deposit_id ?? "");
        place.title = transfer.txid ?? place.textContent;
        withdrawals.fill(act, transfer);
      });
    });
  }
}
