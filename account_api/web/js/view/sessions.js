/* Sessions and their state; an operator sees those of all accounts, and may halt trading. */

import { $, make, moment, rows, say } from "../lib/dom.js";
import { oncePerFrame } from "../lib/events.js";
import { confirm } from "./confirm.js";
import { toast } from "./toasts.js";

const COLUMNS = ["Session", "Account", "State", "Received", "Per second", "Epoch", "On disconnect"];
const NUMBERS = new Set(["Received", "Per second", "Epoch"]);
const LEAVING = { none: "orders stay", connection: "its orders go", firm: "all orders of the firm go" };

export function mountSessions(market, account) {
  const panel = $("#panel-sessions");
  const body = make("tbody");
  const empty = make("p", { class: "empty" });
  const list = make("table", { class: "list" },
    make("caption", { class: "unseen", textContent: "Sessions" }),
    make("thead", {}, make("tr", {}, ...COLUMNS.map((title) =>
      make("th", { scope: "col", textContent: title, class: NUMBERS.has(title) ? "n lo" : "" })))),
    body);
  const halt = make("button", { type: "button", class: "quiet danger" });
  const desk = make("p", { class: "operator", hidden: true }, make("span"), halt);
  const figures = make("dl", { class: "figures", id: "venue-figures", "aria-label": "What goes on" });
  panel.replaceChildren(desk, figures, list, empty);

  const draw = oncePerFrame(() => {
    const sessions = account.sessions;
    list.hidden = !sessions.length;
    empty.hidden = sessions.length > 0;
    say(empty, account.signedIn
      ? "No FIX session has logged on yet, and no WebSocket with cancel on disconnect."
      : "Sign in to see sessions and their state.");
    rows(body, sessions, (one) => one.session, build, fill);
    desk.hidden = !account.scopes.includes("operator") || !market.symbol;
    const halted = market.book?.status === "halted";
    say(desk.firstChild, `${market.symbol} ${halted ? "is halted" : "is trading"}. `);
    say(halt, halted ? "Resume" : "Halt");
    halt.disabled = Boolean(market.stale);
    halt.className = halted ? "quiet" : "quiet danger";
  });
  for (const type of ["signed", "sessions"]) account.on(type, draw);
  for (const type of ["book", "selected", "stale"]) market.on(type, draw);
  draw();

  halt.addEventListener("click", async () => {
    const status = market.book.status === "halted" ? "open" : "halted";
    const { symbol } = market;
    const sure = await confirm(status === "halted" ? {
      kind: "trading", danger: true, title: `Halt ${symbol}?`, go: `Halt ${symbol}`,
      warnings: ["For everybody, at once: new orders are refused, cancels are taken, and what is in the book stays."],
    } : {
      kind: "trading", title: `Resume ${symbol}?`, go: `Resume ${symbol}`,
      warnings: ["For everybody, at once: orders are taken and trade again."],
    });
    if (!sure) return;
    try {
      await account.rest("PUT", `/v1/instruments/${symbol}/status`, { status });
      toast(`${symbol} is ${status === "open" ? "trading again" : "halted"}.`, "good");
    } catch (problem) {
      toast(problem.message, "bad");
    }
  });
}

function build() {
  return make("tr", {}, ...COLUMNS.map((title) =>
    make("td", { class: NUMBERS.has(title) ? "n lo" : "", "data-title": title })));
}

function fill(row, one) {
  const [session, account, state, received, rate, epoch, leaving] = row.children;
  say(session, one.session);
  say(account, one.account);
  const waits = one.closes_at ? `gone, orders go at ${moment(one.closes_at)}` : "not connected";
  say(state, one.connected ? "connected" : waits);
  state.dataset.on = one.connected ? "yes" : "no";
  say(received, String(one.received));
  received.title = "Highest MsgSeqNum that the engine has";
  say(rate, one.rate === undefined ? "–" : one.rate.toFixed(1));
  say(epoch, String(one.epoch));
  say(leaving, LEAVING[one.cancel_on_disconnect] + (one.grace_s ? ` after ${one.grace_s} s` : ""));
}
