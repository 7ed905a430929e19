/* Balances, what they are worth in one currency by which prices, and test coins. */

import { $, make, say } from "../lib/dom.js";
import { add, isZero, places, show } from "../lib/decimal.js";
import { amount, currencyDigits } from "../lib/amounts.js";
import { path, worth } from "../model/worth.js";
import { downloadButton } from "./download.js";
import { options } from "./forms.js";
import { draw, keep, table } from "./table.js";
import { toast } from "./toasts.js";

const PLACE = "tandem-unit";
const PLACES = 8;

function remembered() {
  try {
    return localStorage.getItem(PLACE);
  } catch {
    return null;
  }
}

export function mountBalances(market, account, tickers) {
  const panel = $("#panel-balances");
  const offered = new Set(document.documentElement.dataset.faucet.split(" ").filter(Boolean));
  const unit = make("select", { id: "worth-unit" });
  const total = make("output", { id: "worth-total" });
  const bar = make("div", { class: "toolbar" }, make("label", { class: "check" }, make("span", { textContent: "Value in" }), unit), total,
    make("span", { class: "gap" }), downloadButton(account, "postings"));
  const view = table(panel, "Your balances", [
    ["Asset"], ["Available", "n"], ["Held", "n"], ["Total", "n"], ["Value", "n"], ["By the price", "state"], ["", "act"],
  ], "", bar);

  const lastOf = (symbol) => (symbol === market.symbol && market.last) || tickers.bySymbol.get(symbol)?.last_price || null;

  function valueOf(balance) {
    const steps = path(balance.asset, unit.value, [...market.instruments.values()], lastOf);
    if (!steps) return { value: isZero(balance.posted) ? "0" : null, steps: [] };
    return { value: worth(balance.posted, steps, currencyDigits(unit.value) ?? PLACES), steps };
  }

  const again = keep(account, view, "balances", "No balances.", ["balances"], () => {
    const list = [...account.balances.values()];
    bar.hidden = !list.length;
    if (list.length) {
      options(unit, list.map((one) => one.asset));
      if (!unit.dataset.chosen) {
        unit.dataset.chosen = "yes";
        const wanted = [remembered(), "USD"].find((one) => list.some(({ asset }) => asset === one));
        if (wanted) unit.value = wanted;
      }
    }
    const valued = list.map((balance) => ({ balance, ...valueOf(balance) }));
    draw(view, valued, ({ balance }) => balance.asset, fill);
    const known = valued.filter(({ value }) => value !== null);
    const unknown = valued.filter(({ value }) => value === null).map(({ balance }) => balance.asset);
    const sum = known.reduce((all, { value }) => add(all, value), "0");
    say(total, list.length ? `about ${amount(sum, unit.value)} ${unit.value}${unknown.length ? `, without ${unknown.join(", ")}: no price` : ""}` : "");
    tickers.want("balances", account.signedIn && !panel.hidden);
  });

  function fill(row, { balance, value, steps }) {
    const [asset, available, held, posted, value_, price, act] = row.children;
    say(asset, balance.asset);
    say(available, show(balance.available));
    say(held, show(balance.held));
    say(posted, show(balance.posted));
    say(value_, value === null ? "–" : `${amount(value, unit.value)} ${unit.value}`);
    say(price, value === null ? "no trade yet" : steps.map((step) => `${show(step.price, digits(step.symbol))} (${step.symbol})`).join(", ") || "–");
    price.title = steps.length ? "Last prices; what is shown is cut, and no offer to trade" : "";
    const wanted = offered.has(balance.asset) && account.mayTrade && account.name === account.home;
    if (wanted && !act.firstChild) {
      act.append(make("button", {
        type: "button", class: "quiet", textContent: "Get test coins", "data-asset": balance.asset,
        "aria-label": `Get test coins of ${balance.asset}`,
      }));
    } else if (!wanted) act.replaceChildren();
  }

  const digits = (symbol) => {
    const instrument = market.instruments.get(symbol);
    return instrument ? places(instrument.tick) : 0;
  };

  async function faucet(button, asset) {
    button.disabled = true;
    try {
      const answer = await account.rest("POST", "/v1/faucet", { asset });
      toast(`${show(answer.amount)} ${asset} are yours.`, "good");
    } catch (problem) {
      toast(problem.message, "bad");
    } finally {
      button.disabled = false;
    }
  }

  view.body.addEventListener("click", (event) => {
    const asset = event.target.closest("button")?.dataset.asset;
    if (asset) faucet(event.target, asset);
  });
  unit.addEventListener("change", () => {
    try {
      localStorage.setItem(PLACE, unit.value);
    } catch {
      // Chosen for this page only, then.
    }
    again();
  });
  tickers.on("tickers", again);
  for (const type of ["trades", "instruments"]) market.on(type, again);
  new IntersectionObserver(again).observe(panel);
}
