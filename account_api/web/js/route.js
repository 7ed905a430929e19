/* The address of the page: `#BTC-USD/deposits` is an instrument and a tab. Another instrument is a
   step that the browser goes back; a tab is none. */

const FIRST_TAB = "orders";

/** What the address says: {symbol, tab}, each "" where it says nothing. */
export function place() {
  const [symbol = "", tab = ""] = location.hash.slice(1).split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return "";
    }
  });
  return { symbol, tab };
}

function address(symbol, tab) {
  const end = tab && tab !== FIRST_TAB ? `/${encodeURIComponent(tab)}` : "";
  return `#${encodeURIComponent(symbol)}${end}`;
}

/** Keep the address and what is shown the same, in both directions. */
export function mountRoute(market, panels) {
  let first = true;
  market.on("selected", () => {
    const { symbol, tab } = place();
    const how = first ? "replaceState" : "pushState";
    first = false;
    if (symbol !== market.symbol) history[how](null, "", address(market.symbol, tab));
  });
  panels.shown = (name) => {
    const { symbol, tab } = place();
    if ((tab || FIRST_TAB) !== name) history.replaceState(null, "", address(symbol, name));
  };
  const follow = () => {
    const { symbol, tab } = place();
    if (tab) panels.show(tab);
    if (market.instruments.has(symbol)) market.select(symbol);
    else if (market.symbol) history.replaceState(null, "", address(market.symbol, tab));
  };
  addEventListener("popstate", follow);
  if (place().tab) panels.show(place().tab);
}
