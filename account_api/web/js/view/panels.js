/* The tabs of the account and what is in them. */

import { $, $$ } from "../lib/dom.js";
import { mountFills } from "./fills.js";
import { OrdersPanel } from "./orders.js";

const FLASH_MS = 3_000;

export class Panels {
  #orders;

  constructor(market, account) {
    this.#mountTabs();
    this.#orders = new OrdersPanel(market, account);
    mountFills(market, account);
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
}
