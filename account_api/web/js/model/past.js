/* Lists of what was: the venue gives them page by page, oldest first. */

export const FILLS_KEPT = 300;
const PAGE = 1000;
const PAGES_MAX = 10;
/** By how much further back each look begins. */
const WIDER = 10;

/** All rows named `what` that `ask` gives, so many pages at most. Rejects with Problem. */
export async function all(ask, what, pages) {
  const found = [];
  let cursor = null;
  for (let page = 0; page < pages; page += 1) {
    const answer = await ask({ limit: PAGE, ...(cursor ? { cursor } : {}) });
    found.push(...answer[what]);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  return found;
}

/**
 * The newest fills of an account; none while the history is away. Pages only ascend, so it begins
 * near the venue's newest trade, and again further back until there are enough.
 */
async function newestFills(stream, named) {
  try {
    const { tickers } = await stream.request("get_tickers");
    const newest = Math.max(0, ...tickers.map((row) => row.last_trade_id ?? 0));
    for (let back = PAGE; ; back *= WIDER) {
      const after = Math.max(0, newest - back);
      const found = await fillsAfter(stream, named, after);
      if (found.length >= FILLS_KEPT || !after) return found;
    }
  } catch {
    return []; // Fills from now on are shown all the same.
  }
}

/** The last of the fills after a trade; a page of them is followed by the next. */
async function fillsAfter(stream, named, first) {
  let after = first;
  let found = [];
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { fills, next_cursor: cursor } = await stream.request("get_fills", { after_trade_id: after, limit: PAGE, ...named });
    found = [...found, ...fills].slice(-FILLS_KEPT);
    if (!cursor) break;
    after = fills.at(-1).trade_id;
  }
  return found;
}

/** What snapshots do not hold: past fills, transfers of all kinds that are done, the fees. */
export async function past(account, stream) {
  const list = (event) => account.all(`/v1/${event}s`, `${event}s`, PAGES_MAX)
    .then((rows) => rows.map((row) => ({ event, ...row })), () => []);
  const [fills, fees, ...transfers] = await Promise.all([
    newestFills(stream, account.named),
    stream.request("get_fees", account.named).catch(() => null),
    ...["withdrawal", "deposit", "transfer"].map(list),
  ]);
  return { fills, fees, transfers: transfers.flat() };
}
