/* Puts the page together: one stream, what is known through it, and what is shown of it. */

import { $, $$ } from "./lib/dom.js";
import { Account } from "./model/account.js";
import { kept } from "./model/keep.js";
import { Figures } from "./model/figures.js";
import { Market } from "./model/market.js";
import { Stream } from "./model/stream.js";
import { mountRoute, place } from "./route.js";
import { mountBook } from "./view/book.js";
import { mountQuestions } from "./view/confirm.js";
import { mountChart } from "./view/chart.js";
import { mountDepth } from "./view/depth.js";
import { mountFigures } from "./view/figures.js";
import { mountFixMessages } from "./view/fix-messages.js";
import { mountMoney } from "./view/money.js";
import { mountNotices } from "./view/notices.js";
import { showOrder } from "./view/order-detail.js";
import { Panels } from "./view/panels.js";
import { mountSessions } from "./view/sessions.js";
import { mountShortcuts } from "./view/shortcuts.js";
import { SignIn } from "./view/signin.js";
import { mountStatus, toggleTheme } from "./view/status.js";
import { Ticket } from "./view/ticket.js";
import { mountTrades } from "./view/trades.js";
import { mountZone } from "./view/zone.js";

/** Where the stream is: told by the venue, or its port on the host of this page. */
function streamUrl() {
  const { streamUrl: told, streamPort: port } = document.documentElement.dataset;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  if (told.startsWith("/")) return `${scheme}://${location.host}${told}`;
  if (told) return told;
  return `${scheme}://${location.hostname}:${port}/v1/stream`;
}

/** On a narrow screen one part is shown at a time. */
function showPane(name) {
  document.body.dataset.pane = name;
  for (const button of $$(".panes button")) {
    button.setAttribute("aria-current", String(button.dataset.pane === name));
  }
}

const stream = new Stream(streamUrl());
const market = new Market(stream, place().symbol);
const account = new Account(stream);
const signIn = new SignIn(account);
const panels = new Panels(market, account);
const ticket = new Ticket(market, account, {
  signIn: () => signIn.ask(),
  showOrder: (id, go) => {
    panels.flash("orders", (key) => key === id);
    if (go) showPane("account");
  },
  showFill: (id, go) => {
    panels.flash("fills", (key) => key.endsWith(`:${id}`));
    if (go) showPane("account");
  },
});

mountStatus(stream, market);
mountBook(market, account, (price, side) => {
  ticket.take(price, side);
  showPane("trade");
});
mountTrades(market);
mountChart(market);
mountDepth(market);
mountSessions(market, account);
mountFixMessages(account);
mountFigures(stream, new Figures());
mountRoute(market, panels);
mountQuestions();
mountZone();
const openMarkets = mountMoney(market, account);
mountNotices(market, account, (id) => showOrder(market, account, id));
mountShortcuts({ ticket, panels, signIn, showPane, toggleTheme, openMarkets });
for (const button of $$(".panes button")) {
  button.addEventListener("click", () => showPane(button.dataset.pane));
}
$("#theme").addEventListener("click", toggleTheme);
account.on("signed", () => {
  if (account.may("operator") && !place().tab) panels.show("sessions");
});
const before = await kept();
if (before) account.restore(before);
stream.connect();
