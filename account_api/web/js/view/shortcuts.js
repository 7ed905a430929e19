/* Keys. Single letters do nothing while something is being typed or a dialog is open. */

import { $, $$ } from "../lib/dom.js";

const NUMBERS = 9;

export function mountShortcuts({ ticket, panels, signIn, showPane, toggleTheme, openMarkets }) {
  const help = $("#help");
  $("#help-open").addEventListener("click", () => help.showModal());
  const side = (which) => () => {
    showPane("trade");
    ticket.setSide(which);
    ticket.focus();
  };
  const keys = {
    b: side("buy"),
    s: side("sell"),
    "/": openMarkets,
    i: () => signIn.toggle(),
    t: toggleTheme,
    X: () => panels.cancelAll(),
    "?": () => help.showModal(),
  };
  // The tabs of the account, from the left.
  $$("[role=tab]").slice(0, NUMBERS).forEach((tab, index) => {
    keys[String(index + 1)] = () => {
      showPane("account");
      panels.show(tab.id.slice(4));
    };
  });
  addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=radio]):not([type=checkbox]), select, textarea, dialog");
    if (typing || event.ctrlKey || event.altKey || event.metaKey || $("dialog[open]")) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
