/* Orders, fills and postings as CSV files, made here from what the venue answers, page by page. */

import { make } from "../lib/dom.js";
import { toast } from "./toasts.js";

const PAGES_MAX = 200;

/** Name of the list in the answer, path, query, and the columns, which are members of the rows. */
const LISTS = {
  orders: ["orders", "/v1/orders", { status: "all" }, [
    "order_id", "client_order_id", "account", "symbol", "side", "type", "time_in_force", "status", "price", "stop_price",
    "quantity", "filled_quantity", "leaves_quantity", "average_price", "display_quantity", "post_only", "cancel_reason",
    "strategy", "manual", "entered_by", "created_at", "updated_at",
  ]],
  fills: ["fills", "/v1/fills", {}, [
    "trade_id", "order_id", "client_order_id", "symbol", "side", "quantity", "price", "notional", "fee", "fee_asset",
    "liquidity", "strategy", "time", "seq",
  ]],
  postings: ["entries", "/v1/ledger", {}, [
    "seq", "account_seq", "time", "asset", "available_change", "held_change", "available", "held", "cause", "reference",
    "order_id", "trade_id", "client_order_id", "strategy",
  ]],
};

/** A cell by RFC 4180. A spreadsheet must not take text for a formula: such a cell begins with '. */
export function cell(value) {
  if (value === null || value === undefined) return "";
  const text = String(value);
  const safe = /^[=+@\t\r]/.test(text) || (text.startsWith("-") && !/^-[0-9.]+$/.test(text)) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rows as CSV, with a head. */
export function csv(columns, rows) {
  return [columns, ...rows.map((row) => columns.map((name) => row[name]))]
    .map((line) => line.map(cell).join(",")).join("\r\n").concat("\r\n");
}

/** A button that downloads a list of the account. */
export function downloadButton(account, what) {
  const button = make("button", { type: "button", class: "quiet", textContent: "CSV", id: `csv-${what}`,
    title: `Download all ${what} of the account`, "aria-label": `Download all ${what} as CSV` });
  button.addEventListener("click", async () => {
    const [member, path, query, columns] = LISTS[what];
    button.disabled = true;
    try {
      const rows = await account.all(path, member, PAGES_MAX, query);
      const day = new Date().toISOString().slice(0, 10);
      const name = `${account.name}-${what}-${day}.csv`.replace(/[^\w.-]+/g, "_");
      const href = URL.createObjectURL(new Blob([csv(columns, rows)], { type: "text/csv" }));
      make("a", { href, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(href), 60_000);
      const whole = rows.length < PAGES_MAX * 1000;
      toast(whole ? `${rows.length} ${what} are in ${name}.` : `The first ${rows.length} ${what} are in ${name}; ask the API for the rest.`, whole ? "good" : "warn");
    } catch (problem) {
      toast(problem.message, "bad");
    } finally {
      button.disabled = false;
    }
  });
  const show = () => { button.hidden = !account.name; };
  account.on("signed", show);
  show();
  return button;
}
