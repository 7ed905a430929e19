/* Which of the firm's accounts is looked at and acted for. */

import { $ } from "../lib/dom.js";
import { options } from "./forms.js";

/** The list is `account.accounts`, empty for who has none; `accounts` is emitted when it is there. */
export function mountAccountSwitch(account) {
  const select = $("#account");
  account.accounts = [];
  let asked = null;
  const draw = () => {
    select.hidden = account.accounts.length < 2 || !account.name;
    options(select, account.accounts.map((one) => [one.account, one.status === "active" ? one.account : `${one.account} (${one.status})`]));
    if (account.name) select.value = account.name;
  };
  account.on("signed", async () => {
    if (asked !== account.signer) account.accounts = [];
    draw();
    const { signer } = account;
    if (!signer || asked === signer || !account.home) return;
    asked = signer;
    try {
      const { accounts } = await account.rest("GET", "/v1/accounts");
      if (signer !== account.signer) return;
      account.accounts = accounts;
      draw();
      account.emit("accounts");
    } catch {
      asked = null; // Asked again with the next sign of life.
    }
  });
  select.addEventListener("change", () => account.use(select.value));
}
