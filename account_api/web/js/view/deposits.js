/* Where deposits are sent, and those that came. */

import { $, make, say } from "../lib/dom.js";
import { show } from "../lib/decimal.js";
import { copyButton, field, form, lacking, options } from "./forms.js";
import { networks } from "./networks.js";
import { qrCode } from "./qr.js";
import { draw, keep, table, when } from "./table.js";

export function mountDeposits(account) {
  const panel = $("#panel-deposits");
  const select = make("select", { name: "network" });
  const ask = form("deposit", "Get a deposit address", [field("Coin and network", select)], "Get the address", async () => {
    const { asset, network } = networks.list[select.selectedIndex] ?? {};
    if (!asset) throw new Error("The venue does not tell its networks at this moment.");
    const answer = await account.rest("POST", "/v1/deposit-addresses", { asset, network, ...account.named });
    put(answer);
    wanted = `${asset} ${network}`;
    again();
  });
  const cards = make("div", { class: "cards", id: "deposit-addresses" });
  const none = make("p", { class: "hint", id: "deposit-none" });
  const view = table(panel, "Deposits", [["Time"], ["Amount", "n"], ["State", "state"], ["Transaction", "id"]], "", ask.element, none, cards);
  let known = new Map();
  /** The address that was asked for is brought into sight. */
  let wanted = null;

  function put(row) {
    known.set(`${row.asset} ${row.network}`, row);
    again();
  }

  async function load() {
    const { signer, name } = account;
    known = new Map();
    if (!signer || !name) return;
    try {
      const { deposit_addresses: rows } = await account.rest("GET", account.target("/v1/deposit-addresses"));
      if (signer === account.signer && name === account.name) rows.forEach(put);
    } catch (problem) {
      say(ask.error, problem.message);
    }
  }

  function drawCards() {
    const key = [...known.keys()].join();
    if (cards.dataset.list !== key) cards.replaceChildren(...[...known.values()].map(card));
    cards.dataset.list = key;
    if (wanted) {
      const shown = cards.children[[...known.keys()].indexOf(wanted)];
      shown?.scrollIntoView({ block: "nearest" });
      shown?.classList.add("flash");
      setTimeout(() => shown?.classList.remove("flash"), 3_000);
    }
    wanted = null;
  }

  const again = keep(account, view, "deposits", "No deposits yet.", ["transfers"], () => {
    const needs = lacking(account, "address", "get a deposit address");
    ask.element.hidden = !account.name;
    for (const one of [select.closest("label"), ask.go]) one.hidden = Boolean(needs);
    options(select, networks.list.map((one) => `${one.asset} over ${one.network}`));
    say(ask.hint, needs || "An address is yours for good: the same one is given each time.");
    say(none, account.name && !known.size ? "No deposit address has been given yet." : "");
    drawCards();
    const list = [...account.transfers.values()].filter((row) => row.event === "deposit")
      .sort((one, other) => (one.created_at < other.created_at ? 1 : -1));
    draw(view, list, (row) => row.deposit_id, (row, deposit) => {
      const [time, amount, state, id] = row.children;
      when(time, deposit.created_at);
      say(amount, `${show(deposit.amount)} ${deposit.asset}`);
      say(state, deposit.credited ? "credited" : `${deposit.confirmations} of ${deposit.confirmations_required} confirmations`);
      say(id, deposit.txid ?? deposit.deposit_id);
      id.title = deposit.txid ? `Transaction ${deposit.txid}, deposit ${deposit.deposit_id}` : "";
    });
  });
  networks.on("networks", again);
  account.on("signed", load);
}

/** An address with what has to be known before money is sent to it. */
function card(row) {
  return make("section", { class: "address" },
    qrCode(row.address, `QR code of the address for ${row.asset}`),
    make("h3", { textContent: `${row.asset} over ${row.network}` }),
    make("p", { class: "code", textContent: row.address }), copyButton(row.address, `the address for ${row.asset}`),
    ...(row.memo ? [make("p", { class: "code", textContent: `Memo ${row.memo}` }), copyButton(row.memo, "the memo")] : []),
    make("p", { class: "hint", textContent: `Send only ${row.asset}, only over ${row.network}${row.memo ? ", and with the memo, which is not in the QR code" : ""}: anything ` +
      `else may be lost. Credited after ${row.confirmations_required} ${row.confirmations_required === 1 ? "confirmation" : "confirmations"}.` }));
}
