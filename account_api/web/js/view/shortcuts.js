/* Keys. Single letters do nothing while something is being typed or a dialog is open. */

import { $ } from "../lib/dom.js";

const PANELS = ["orders", "fills", "balances", "transfers", "sessions"];

export function mountShortcuts({ ticket, panels, signIn, showPane, toggleTheme }) {
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
    "/": () => $("#symbol").focus(),
    i: () => signIn.toggle(),
    t: toggleTheme,
    X: () => panels.cancelAll(),
    "?": () => help.showModal(),
  };
  PANELS.forEach((name, index) => {
    keys[String(index + 1)] = () => {
      showPane("account");
      panels.show(name);
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
