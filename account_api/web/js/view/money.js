/* All that concerns the account's money and who may do what with it, put together. */

import { $, make } from "../lib/dom.js";
import { Tickers } from "../model/tickers.js";
import { mountAccountSwitch } from "./account-switch.js";
import { AddressBook } from "./address-book.js";
import { mountBalances } from "./balances.js";
import { mountDeposits } from "./deposits.js";
import { downloadButton } from "./download.js";
import { mountKeys } from "./keys.js";
import { mountMarkets } from "./markets.js";
import { networks } from "./networks.js";
import { mountTransfers } from "./transfers.js";
import { mountMovements } from "./withdrawals.js";

/** Returns what opens the list of instruments. */
export function mountMoney(market, account) {
  const tickers = new Tickers();
  mountAccountSwitch(account);
  mountBalances(market, account, tickers);
  const book = new AddressBook(account, () => movements.suggest(book));
  const movements = mountMovements(account);
  mountDeposits(account);
  mountTransfers(account);
  mountKeys(account);
  account.on("signed", () => account.signedIn && networks.load());
  $("#panel-orders .toolbar").append(make("span", { class: "gap" }), downloadButton(account, "orders"));
  $("#panel-fills").prepend(make("div", { class: "toolbar" }, make("span", { class: "gap" }), downloadButton(account, "fills")));
  $("#enlarge").addEventListener("click", () => {
    const large = document.body.dataset.large !== "yes";
    document.body.dataset.large = large ? "yes" : "no";
    $("#enlarge").setAttribute("aria-pressed", String(large));
  });
  return mountMarkets(market, tickers);
}
