/* The list of instruments with search, and their last 24 hours. */

import { $, make, rows, say } from "../lib/dom.js";
import { places, show } from "../lib/decimal.js";
import { oncePerFrame } from "../lib/events.js";

const COLUMNS = [["Instrument"], ["Last", "n"], ["24 h", "n"], ["High", "n lo"], ["Low", "n lo"], ["Volume", "n"], ["Worth", "n lo"]];

/** `open` shows the list. */
export function mountMarkets(market, tickers) {
  const search = make("input", { type: "search", placeholder: "Search, for example BTC", "aria-label": "Search instruments", maxLength: 32 });
  const body = make("tbody");
  const none = make("p", { class: "empty", hidden: true });
  const close = make("button", { type: "button", textContent: "Close" });
  const dialog = make("dialog", { id: "markets", class: "wide", "aria-labelledby": "markets-title" },
    make("h2", { id: "markets-title", textContent: "Instruments" }), search,
    make("div", { class: "scroll", tabIndex: 0, role: "region", "aria-labelledby": "markets-title" },
      make("table", { class: "list" },
        make("thead", {}, make("tr", {}, ...COLUMNS.map(([title, kind = ""]) => make("th", { scope: "col", class: kind, textContent: title })))),
        body), none), close);
  document.body.append(dialog);

  const found = () => {
    const words = search.value.toUpperCase().split(/[\s/-]+/).filter(Boolean);
    return [...market.instruments.values()].filter(({ symbol }) => words.every((word) => symbol.toUpperCase().includes(word)));
  };
  const draw = oncePerFrame(() => {
    if (!dialog.open) return;
    const list = found();
    rows(body, list, (one) => one.symbol, build, (row, one) => fill(row, one, tickers.bySymbol.get(one.symbol), market));
    none.hidden = list.length > 0;
    say(none, market.instruments.size ? `No instrument has “${search.value}” in its name.` : "The venue has not told its instruments yet.");
  });
  const open = () => {
    if (dialog.open) return;
    search.value = "";
    dialog.showModal();
    tickers.want("markets", true);
    search.focus();
    draw();
  };
  const choose = (symbol) => {
    if (!symbol) return;
    dialog.close();
    market.select(symbol);
  };
  search.addEventListener("input", draw);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") choose(found()[0]?.symbol);
    if (event.key === "ArrowDown") $("button", body)?.focus();
  });
  body.addEventListener("click", (event) => choose(event.target.closest("tr")?.dataset.key));
  body.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const next = step && event.target.closest("tr")?.[step];
    if (!next) return;
    event.preventDefault();
    $("button", next).focus();
  });
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => tickers.want("markets", false));
  tickers.on("tickers", draw);
  for (const type of ["instruments", "trades"]) market.on(type, draw);
  $("#markets-open").addEventListener("click", open);
  return open;
}

function build() {
  const row = make("tr", {}, ...COLUMNS.map(([title, kind = ""]) => make("td", { class: kind, "data-title": title })));
  row.firstChild.append(make("button", { type: "button", class: "quiet" }));
  return row;
}

function fill(row, instrument, ticker, market) {
  const [name, last, change, high, low, volume, value] = row.children;
  const digits = places(instrument.tick);
  const here = instrument.symbol === market.symbol;
  say(name.firstChild, instrument.symbol);
  if (here) name.firstChild.setAttribute("aria-current", "true");
  else name.firstChild.removeAttribute("aria-current");
  const halted = here ? market.book.status === "halted" : instrument.status === "halted";
  name.title = halted ? "Halted" : "";
  say(last, halted ? "halted" : show((here && market.last) || (ticker?.last_price ?? null), digits));
  const percent = ticker?.change_percent ?? null;
  say(change, percent === null ? "–" : `${percent.startsWith("-") ? `−${percent.slice(1)}` : `+${percent}`} %`);
  change.dataset.moved = percent === null || /^-?0\.00$/.test(percent) ? "" : percent.startsWith("-") ? "down" : "up";
  say(high, show(ticker?.high ?? null, digits));
  say(low, show(ticker?.low ?? null, digits));
  say(volume, ticker ? `${show(ticker.volume)} ${instrument.base}` : "–");
  say(value, ticker ? `${show(ticker.quote_volume.split(".")[0])} ${instrument.quote}` : "–");
}
